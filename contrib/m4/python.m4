# ASGID_PYTHON(MINIMUM): the Python to embed.
#
# --with-python=NAME takes a pkg-config module ("python-3.12-embed") or an
# interpreter ("/opt/py/bin/python3.13", "python3.13"). The default is the
# distribution's python3-embed, whatever python3 comes first on PATH.
# Substitutes PYTHON_CFLAGS, PYTHON_LIBS (with an rpath where the library is
# in no standard folder), PYTHON_EXECUTABLE, PYTHON_HOME (the prefix of its
# standard library) and PYTHON_VERSION.

# ASGID_PYTHON_ASK(VARIABLE, EXPRESSION): what PYTHON_EXECUTABLE says, nothing
# of the caller's environment (virtual, PYTHONHOME) taken into account.
AC_DEFUN([ASGID_PYTHON_ASK], [
$1=`env -u PYTHONHOME -u PYTHONPATH "$PYTHON_EXECUTABLE" -c 'import sys, sysconfig; print($2)' 2>&AS_MESSAGE_LOG_FD`
])

AC_DEFUN([ASGID_PYTHON], [
AC_ARG_WITH([python],
    [AS_HELP_STRING([--with-python=NAME],
	[Python to embed: a pkg-config name or an interpreter @<:@python3-embed@:>@])],
    [], [with_python=python3-embed])
AC_ARG_VAR([PYTHON_EXECUTABLE], [interpreter whose library is embedded])

python_program=
python_path=
AS_CASE([$with_python],
    [yes|no|""],
    [AC_MSG_ERROR([--with-python takes a pkg-config name or an interpreter])],
    [*/*], [
	AS_IF([test -x "$with_python"], [],
	    [AC_MSG_ERROR([--with-python: $with_python is no program])])
	python_program=$with_python],
    [AS_IF([$PKG_CONFIG --exists "$with_python"], [],
	[python_program=`command -v "$with_python"`])])

AS_IF([test -n "$python_program"], [
    # see through shims and virtual environments
    PYTHON_EXECUTABLE=$python_program
    ASGID_PYTHON_ASK([python_base], [[getattr(sys, "_base_executable", sys.executable)]])
    AS_IF([test -x "$python_base"], [],
	[AC_MSG_ERROR([--with-python: $with_python is no Python interpreter; see config.log])])
    PYTHON_EXECUTABLE=$python_base
    ASGID_PYTHON_ASK([python_found], [["%d.%d" % sys.version_info[:2]]])
    AS_VERSION_COMPARE([$python_found], [$1],
	[AC_MSG_ERROR([$PYTHON_EXECUTABLE is Python $python_found, asgid needs $1 or later])])
    ASGID_PYTHON_ASK([python_pc], [["python-%s-embed" % sysconfig.get_config_var("LDVERSION")]])
    ASGID_PYTHON_ASK([python_path], [[sysconfig.get_config_var("LIBPC")]])
    ASGID_PYTHON_ASK([python_shared], [[sysconfig.get_config_var("Py_ENABLE_SHARED")]])
    AS_IF([test "x$python_shared" = x1], [],
	[AC_MSG_ERROR([$PYTHON_EXECUTABLE has no shared library to embed: build it with --enable-shared (pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)])])
], [python_pc=$with_python])

# its own folder first: another installation may have a .pc of that name
save_PKG_CONFIG_PATH=$PKG_CONFIG_PATH
AS_IF([test -n "$python_path"],
    [PKG_CONFIG_PATH="$python_path${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
     export PKG_CONFIG_PATH])
AS_IF([$PKG_CONFIG --exists "$python_pc" && ! $PKG_CONFIG --exists "$python_pc >= $1"],
    [AC_MSG_ERROR([$python_pc is Python `$PKG_CONFIG --modversion $python_pc`, asgid needs $1 or later])])
PKG_CHECK_MODULES([PYTHON], [$python_pc], [],
    [AC_MSG_ERROR([Python >= $1 for embedding ($python_pc) is missing: install python3-dev (Debian), python3-devel (Fedora), or give --with-python=])])
PYTHON_VERSION=`$PKG_CONFIG --modversion $python_pc`
python_prefix=`$PKG_CONFIG --variable=exec_prefix $python_pc`
python_libdir=`$PKG_CONFIG --variable=libdir $python_pc`
PKG_CONFIG_PATH=$save_PKG_CONFIG_PATH

AS_IF([test -z "$PYTHON_EXECUTABLE"],
    [PYTHON_EXECUTABLE=$python_prefix/bin/python$PYTHON_VERSION])
AS_IF([test -x "$PYTHON_EXECUTABLE"], [],
    [AC_MSG_ERROR([the interpreter of $python_pc is missing ($PYTHON_EXECUTABLE): install python3 (Debian, Fedora)])])
ASGID_PYTHON_ASK([python_found], [["%d.%d" % sys.version_info[:2]]])
AS_IF([test "x$python_found" = "x$PYTHON_VERSION"], [],
    [AC_MSG_ERROR([$PYTHON_EXECUTABLE is Python $python_found, but $python_pc is $PYTHON_VERSION])])
ASGID_PYTHON_ASK([PYTHON_HOME], [[sys.base_prefix if sys.base_prefix == sys.base_exec_prefix else sys.base_prefix + ":" + sys.base_exec_prefix]])
AS_CASE([$python_libdir], [/usr/lib|/usr/lib/*|/usr/lib64|/usr/lib64/*|/lib/*|""], [],
    [PYTHON_LIBS="$PYTHON_LIBS -Wl,-rpath,$python_libdir"])

AC_MSG_CHECKING([whether a program with $python_pc links])
save_CFLAGS=$CFLAGS save_LIBS=$LIBS
CFLAGS="$CFLAGS $PYTHON_CFLAGS" LIBS="$PYTHON_LIBS $LIBS"
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <Python.h>]], [[Py_Initialize();]])],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([cannot link against $python_pc; see config.log])])
CFLAGS=$save_CFLAGS LIBS=$save_LIBS
AC_SUBST([PYTHON_HOME])
AC_SUBST([PYTHON_VERSION])
])
