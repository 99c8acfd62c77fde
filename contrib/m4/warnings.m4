# ASGID_WARNINGS(VARIABLE): append the strict warnings this compiler knows.
AC_DEFUN([ASGID_WARNINGS], [
AC_LANG_PUSH([C])
save_CFLAGS="$CFLAGS"
for flag in -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
    -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings \
    -Wundef -Wformat=2 -Wvla -Wimplicit-fallthrough -Wnull-dereference; do
	AC_MSG_CHECKING([whether $CC takes $flag])
	CFLAGS="$save_CFLAGS -Werror $flag"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
	    [AC_MSG_RESULT([yes]); $1="$$1 $flag"], [AC_MSG_RESULT([no])])
done
CFLAGS="$save_CFLAGS"
AC_LANG_POP([C])
])
