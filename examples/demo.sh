#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh: the main job in a minute. Runs the examples one after the other; each stops what it starts.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

sh "$here/curl/run.sh"
sh "$here/mysql/run.sh"
printf '\nEvery command succeeded, and the spread was even.\n'
