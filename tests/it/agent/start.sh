#!/bin/sh
# Starts the five services of the example agent inside a container, on its loopback, and stays until it is ended.
#
# Data, and what the services say, go to /data, which is memory. When all of them answer, /data/ready is there.
set -eu
ip link set lo up 2>/dev/null || true
export LC_ALL=C HOME=/data PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
mkdir -p /data/log /data/nginx /data/redis /data/mariadb /data/sockets /tmp /dev/shm
chmod 1777 /data /data/sockets /tmp /dev/shm

# as USER COMMAND...: becomes it.
as() {
    user=$1
    shift
    exec setpriv --reuid="$user" --regid="$user" --init-groups "$@"
}

# start NAME COMMAND...: in the background, with its words in a file.
start() {
    name=$1
    shift
    ("$@") >"/data/log/$name" 2>&1 </dev/null &
}

postgresql() {
    programs=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    echo 'pg-s3cr3t' >/data/password
    (as postgres "$programs/initdb" -D /data/postgresql --username=monitor --no-sync --auth=scram-sha-256 \
        --pwfile=/data/password)
    as postgres "$programs/postgres" -D /data/postgresql -c listen_addresses=127.0.0.1 -c port=5432 -c fsync=off \
        -c unix_socket_directories=/data/sockets
}

mariadb() {
    chown mysql: /data/mariadb
    (as mysql mariadb-install-db --no-defaults --datadir=/data/mariadb --skip-test-db \
        --auth-root-authentication-method=normal)
    echo "CREATE USER 'monitor'@'%' IDENTIFIED BY 'my-s3cr3t';" >/data/mariadb.sql
    as mysql mariadbd --no-defaults --datadir=/data/mariadb --bind-address=127.0.0.1 --port=3306 --skip-name-resolve \
        --socket=/data/sockets/mariadb.sock --init-file=/data/mariadb.sql
}

redis() {
    # Its arguments are to be read, which it otherwise writes over.
    printf 'set-proc-title no\nbind 127.0.0.1\nport 6379\nrequirepass re-s3cr3t\nsave ""\ndir /data/redis\n' >/data/redis.conf
    exec redis-server /data/redis.conf
}

nginx_() {
    cat >/data/nginx.conf <<'END'
daemon off; error_log stderr; pid /data/nginx/pid; events {}
http {
    access_log off;
    client_body_temp_path /data/nginx/a; proxy_temp_path /data/nginx/b; fastcgi_temp_path /data/nginx/c;
    uwsgi_temp_path /data/nginx/d; scgi_temp_path /data/nginx/e;
    server { listen 127.0.0.1:8080; location / { return 200 "inside\n"; } location = /told { stub_status; } }
}
END
    exec nginx -c /data/nginx.conf
}

start postgresql postgresql
start mariadb mariadb
start redis redis
start memcached memcached -u memcache -l 127.0.0.1 -p 11211 -U 0 -m 48
start nginx nginx_
for port in 5432 3306 6379 11211 8080; do
    until ss -Hltn "sport = :$port" | grep -q .; do sleep 0.1; done
done
until mariadb-admin --no-defaults -h 127.0.0.1 -u monitor -pmy-s3cr3t ping >/dev/null 2>&1; do sleep 0.1; done
until PGPASSWORD=pg-s3cr3t psql -h 127.0.0.1 -U monitor postgres -c 'SELECT 1' >/dev/null 2>&1; do sleep 0.1; done
touch /data/ready
wait
