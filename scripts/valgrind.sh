#!/bin/sh
# The C examples under valgrind's memcheck: an error or a leak fails.
set -eu
exec sh "$(dirname "$0")/each_example.sh" \
    valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=99
