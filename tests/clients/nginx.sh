#!/bin/sh
# nginx with two workers, forked after the key was loaded, whose TLS key stays in the token: the case that needs a module to be right
# about fork. Every worker must sign.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin
need nginx curl
engine=$(ls /usr/lib/*/engines-3/pkcs11.so /usr/lib64/engines-3/pkcs11.so 2>/dev/null | head -1)
[ -n "$engine" ] || { echo "not installed: OpenSSL's pkcs11 engine" >&2; exit 77; }
rsa_pair 01 rsa

cat >"$WORK/openssl.cnf" <<EOF
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11_engine
[pkcs11_engine]
engine_id = pkcs11
dynamic_path = $engine
MODULE_PATH = $MODULE
PIN = $PIN
init = 0
[req]
distinguished_name = name
x509_extensions = server
[name]
[server]
subjectAltName = DNS:localhost
EOF
key="pkcs11:token=$LABEL;object=rsa;type=private"
OPENSSL_CONF="$WORK/openssl.cnf" try openssl req -new -x509 -engine pkcs11 -keyform engine -key "$key" -subj /CN=localhost -days 2 -out "$WORK/crt"

port=$((20000 + $$ % 20000))
user=$(id -un)
cat >"$WORK/nginx.conf" <<EOF
daemon off;
$([ "$user" != root ] || echo "user root;")
worker_processes 2;
pid $WORK/nginx.pid;
error_log stderr;
env OPENSSL_CONF;
env SOFTHSM2_CONF;
env COFFER_CONF;
ssl_engine pkcs11;
events { worker_connections 64; accept_mutex on; accept_mutex_delay 1ms; multi_accept off; }
http {
    access_log off;
    client_body_temp_path $WORK; proxy_temp_path $WORK; fastcgi_temp_path $WORK; uwsgi_temp_path $WORK; scgi_temp_path $WORK;
    server {
        listen 127.0.0.1:$port ssl reuseport;
        server_name localhost;
        ssl_certificate $WORK/crt;
        ssl_certificate_key "engine:pkcs11:$key";
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache off;
        ssl_session_tickets off;
        return 200 "\$pid\n";
    }
}
EOF
OPENSSL_CONF="$WORK/openssl.cnf" nginx -p "$WORK" -c "$WORK/nginx.conf" -e stderr >"$WORK/nginx.log" 2>&1 &
master=$!
STARTED="$STARTED $master"
get() { curl -sS --max-time 10 --cacert "$WORK/crt" --resolve "localhost:$port:127.0.0.1" "$@" "https://localhost:$port/"; }
until_true get

for version in 1.2 1.3; do
    : >"$WORK/answers"
    for request in $(seq 40); do
        get --tlsv$version --tls-max $version >>"$WORK/answers" 2>"$WORK/out" || { cat "$WORK/out" "$WORK/nginx.log" >&2; fail "request $request, TLS $version"; }
    done
    [ "$(sort -u "$WORK/answers" | wc -l)" -eq 2 ] || { sort "$WORK/answers" | uniq -c >&2; fail "both workers should have answered"; }
    say "TLS $version: 40 handshakes by two workers"
done

# A reload forks new workers from a master that goes on.
kill -HUP "$master"
sleep 1
for request in $(seq 10); do
    get >>"$WORK/answers" 2>"$WORK/out" || { cat "$WORK/out" "$WORK/nginx.log" >&2; fail "after a reload"; }
done
[ "$(sort -u "$WORK/answers" | wc -l)" -gt 2 ] || fail "a reload should have made new workers"
! grep -q -E 'exited on signal|alert' "$WORK/nginx.log" || { cat "$WORK/nginx.log" >&2; fail "a worker died"; }
kill "$master"
until_true sh -c "! kill -0 $master"
say "reloaded, and ended in order"
