#!/bin/sh
# Starts all servers of the suite inside a container, on one address, and stays until it is ended.
#
#   start.sh ADDRESS DIRECTORY-OF-UNIX-SOCKETS
#
# Configurations lie beside this file. Data, and what the servers say, go to /data, which is memory.
set -eu
address=$1
sockets=$2
given=/srv/inside
# The loopback of a new network namespace is down; where a runtime has brought it up, it may not be touched.
ip link set lo up 2>/dev/null || true
export LC_ALL=C HOME=/data PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
mkdir -p /data/log /data/ready "$sockets" /tmp /dev/shm
chmod 1777 /data /data/ready "$sockets" /tmp /dev/shm

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

postgres() {
    programs=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    (as postgres "$programs/initdb" -D /data/postgres --no-sync --auth=scram-sha-256 --pwfile="$given/password")
    echo 'host all all 0.0.0.0/0 scram-sha-256' >>/data/postgres/pg_hba.conf
    (
        until "$programs/pg_isready" --quiet --host="$address"; do sleep 0.1; done
        touch /data/ready/postgres
    ) &
    as postgres "$programs/postgres" -D /data/postgres -c "listen_addresses=$address" -c fsync=off \
        -c "unix_socket_directories=$sockets" -c cluster_name=inside
}

# One that serves all slots, and tells clients its address.
cluster() {
    mkdir -p /data/cluster
    (
        until redis-cli -h "$address" -p 7000 -a inside --no-auth-warning cluster info | grep -q cluster_state:ok; do
            redis-cli -h "$address" -p 7000 -a inside --no-auth-warning cluster addslotsrange 0 16383 || true
            sleep 0.1
        done
        touch /data/ready/cluster
    ) &
    exec redis-server --bind "$address" --port 7000 --requirepass inside --save '' --dir /data/cluster \
        --cluster-enabled yes --cluster-announce-ip "$address"
}

mariadb() {
    mkdir -p /data/mariadb
    chown mysql: /data/mariadb
    (as mysql mariadb-install-db --no-defaults --datadir=/data/mariadb --skip-test-db \
        --auth-root-authentication-method=normal)
    as mysql mariadbd --no-defaults --datadir=/data/mariadb --bind-address="$address" --port=3306 \
        --skip-name-resolve --socket="$sockets/mariadb.sock" --init-file="$given/mariadb.sql"
}

rabbitmq() {
    mkdir -p /data/rabbitmq
    chown rabbitmq: /data/rabbitmq
    export HOME=/data/rabbitmq RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_CONFIG_FILE="$given/rabbitmq.conf" \
        RABBITMQ_MNESIA_BASE=/data/rabbitmq/mnesia RABBITMQ_LOG_BASE=/data/rabbitmq/log RABBITMQ_LOGS=- \
        RABBITMQ_ENABLED_PLUGINS_FILE=/data/rabbitmq/plugins RABBITMQ_CONF_ENV_FILE=/dev/null \
        ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
    as rabbitmq /usr/lib/rabbitmq/bin/rabbitmq-server
}

nginx_() {
    mkdir -p /data/nginx
    exec nginx -c "$given/nginx.conf"
}

slapd_() {
    mkdir -p /data/slapd
    # It reserves a table of all descriptors that it may ever have.
    ulimit -n 1024
    exec slapd -d 0 -h "ldap://$address:389/" -f "$given/slapd.conf"
}

start rabbitmq rabbitmq
start mariadb mariadb
start postgres postgres
start redis redis-server --bind "$address" --port 6379 --requirepass inside --save '' --dir /data
start cluster cluster
start memcached memcached -u memcache -l "$address" -p 11211 -U 0
start nginx nginx_
start mosquitto mosquitto -c "$given/mosquitto.conf"
start etcd etcd --name inside --data-dir /data/etcd --listen-client-urls "http://$address:2379" \
    --advertise-client-urls "http://$address:2379"
start nats nats-server --addr "$address" --port 4222 --name inside
start slapd slapd_
start dns dnsmasq --conf-file=/dev/null --no-daemon --user=root --no-resolv --no-hosts --bind-interfaces \
    --listen-address="$address" --host-record="web.inside.test,$address"
start haproxy haproxy -db -f "$given/haproxy.cfg"
wait
