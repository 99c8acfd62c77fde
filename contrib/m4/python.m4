# ASGID_PYTHON(MINIMUM): the Python to embed.
#
# --with-python=NAME takes a pkg-config module ("python-3.12-embed") or the
# path of an interpreter ("/opt/py/bin/python3.13"). The default is the
# distribution's python3-embed, whatever python3 comes first on PATH.
# Substitutes PYTHON_CFLAGS, PYTHON_LIBS (with an rpath where the library is
# in no standard folder), PYTHON_EXECUTABLE and PYTHON_VERSION.
AC_DEFUN([ASGID_PYTHON], [
AC_ARG_WITH([python],
    [AS_HELP_STRING([--with-python=NAME],
	[Python to embed: a pkg-config name or an interpreter's path @<:@python3-embed@:>@])],
    [], [with_python=python3-embed])
AC_ARG_VAR([PYTHON_EXECUTABLE], [interpreter whose library is embedded])

python_path=
AS_CASE([$with_python],
    [yes|no], [AC_MSG_ERROR([--with-python takes a pkg-config name or a path])],
    [/*], [
	AS_IF([test -x "$with_python"], [],
	    [AC_MSG_ERROR([--with-python: $with_python is no program])])
	# resolve shims and links to the interpreter itself
	PYTHON_EXECUTABLE=`"$with_python" -c 'import sys; print(sys.executable)'`
	python_pc=`"$PYTHON_EXECUTABLE" -c 'import sysconfig as s; print("python-%s-embed" % s.get_config_var("LDVERSION"))'`
	python_path=`"$PYTHON_EXECUTABLE" -c 'import sysconfig as s; print(s.get_config_var("LIBPC"))'`
    ],
    [python_pc=$with_python])

save_PKG_CONFIG_PATH=$PKG_CONFIG_PATH
AS_IF([test -n "$python_path"],
    [PKG_CONFIG_PATH="$python_path${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
     export PKG_CONFIG_PATH])
PKG_CHECK_MODULES([PYTHON], [$python_pc >= $1], [],
    [AC_MSG_ERROR([Python >= $1 for embedding ($python_pc) is missing: install python3-dev (Debian), python3-devel (Fedora), or give --with-python=; an interpreter of pyenv must be built with --enable-shared])])
PYTHON_VERSION=`$PKG_CONFIG --modversion $python_pc`
python_prefix=`$PKG_CONFIG --variable=exec_prefix $python_pc`
python_libdir=`$PKG_CONFIG --variable=libdir $python_pc`
PKG_CONFIG_PATH=$save_PKG_CONFIG_PATH

AS_IF([test -z "$PYTHON_EXECUTABLE"],
    [PYTHON_EXECUTABLE=$python_prefix/bin/python$PYTHON_VERSION])
AS_IF([test -x "$PYTHON_EXECUTABLE"], [],
    [AC_MSG_ERROR([the interpreter of $python_pc is missing: install python$PYTHON_VERSION ($PYTHON_EXECUTABLE)])])
AS_CASE([$python_libdir], [/usr/lib*|/lib*|""], [],
    [PYTHON_LIBS="$PYTHON_LIBS -Wl,-rpath,$python_libdir"])

AC_MSG_CHECKING([whether a program with $python_pc links])
save_CFLAGS=$CFLAGS save_LIBS=$LIBS
CFLAGS="$CFLAGS $PYTHON_CFLAGS" LIBS="$PYTHON_LIBS $LIBS"
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <Python.h>]], [[Py_Initialize();]])],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([cannot link against $python_pc; see config.log])])
CFLAGS=$save_CFLAGS LIBS=$save_LIBS
AC_SUBST([PYTHON_VERSION])
])
