#!/bin/sh
# Real servers for the tests. Only as root on Debian or Ubuntu, and only what is missing; elsewhere the tests say what
# to install.
set -eu

wanted=""
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || wanted="$wanted $2"; }
need dovecot dovecot-imapd
need gnome-keyring-daemon gnome-keyring
need dbus-run-session dbus-daemon
need tmux tmux
need openssl openssl
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need initdb postgresql
need systemd-analyze systemd

[ -n "$wanted" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "For every test to run, install:$wanted" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# The tests start a PostgreSQL of their own: the package is not to start one.
mkdir -p /etc/postgresql-common
grep -qs create_main_cluster /etc/postgresql-common/createcluster.conf ||
    echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
# A failed installation is told by the tests that need the server, by name.
apt-get update -qq || true
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $wanted >/dev/null || echo "Could not install:$wanted" >&2
