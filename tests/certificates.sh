#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Certificates for tests, made anew in the folder given (P-256, PEM). NAME.pem is the chain with the
# leaf first, NAME.key its key:
#   ca            the root that the tests trust (ca_file)
#   localhost     good: localhost, *.exchange.test, 127.0.0.1, ::1
#   intermediate  good for localhost, signed by an intermediate that the server sends along
#   other         good for other.test only
#   expired       localhost, ended in 2021
#   future        localhost, begins in 2099
#   selfsigned    localhost, signed by itself
#   untrusted     localhost, signed by another root
#   rsa           good for localhost, by an RSA key
# NAME.pin of localhost, other and rsa: what pin_sha256 says of its key, by openssl; that of the
# intermediate itself is intermediate.issuer.pin.
set -euo pipefail

folder=${1:?usage: certificates.sh FOLDER}
mkdir -p "$folder"
cd "$folder"

names="subjectAltName=DNS:localhost,DNS:*.exchange.test,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1"
leaf="basicConstraints=critical,CA:false
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth"

make_key() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
}

make_root() {
    make_key "$1"
    openssl req -x509 -new -key "$1.key" -subj "/CN=ringtape test $1" -days 3650 -out "$1.pem" \
        -addext "basicConstraints=critical,CA:true" -addext "keyUsage=critical,keyCertSign,cRLSign"
}

make_pin() {
    openssl x509 -in "$1.pem" -pubkey -noout | openssl pkey -pubin -outform der |
        openssl dgst -sha256 -binary | openssl base64 -A >"$1.pin"
}

# make_signed NAME ROOT EXTENSIONS [START END]: dates as YYYYMMDDHHMMSSZ.
make_signed() {
    local name=$1 root=$2 extensions=$3 start=${4:-} end=${5:-}
    [ -e "$name.key" ] || make_key "$name"
    openssl req -new -key "$name.key" -subj "/CN=ringtape test $name" -out "$name.csr"
    rm -rf "$name.ca"
    mkdir "$name.ca"
    : >"$name.ca/index"
    cat >"$name.ca/config" <<TEXT
[ca]
default_ca = this
[this]
new_certs_dir = $name.ca
database = $name.ca/index
rand_serial = yes
default_md = sha256
policy = policy
[policy]
commonName = supplied
[extensions]
$extensions
TEXT
    local dates=(-days 3650)
    if [ -n "$start" ]; then dates=(-startdate "$start" -enddate "$end"); fi
    openssl ca -batch -notext -config "$name.ca/config" -extensions extensions \
        -cert "$root.pem" -keyfile "$root.key" -in "$name.csr" -out "$name.pem" "${dates[@]}"
    rm -rf "$name.ca" "$name.csr"
}

make_all() {
    make_root ca
    make_root stranger
    make_signed localhost ca "$leaf"$'\n'"$names"
    make_signed other ca "$leaf"$'\n'"subjectAltName=DNS:other.test"
    make_signed expired ca "$leaf"$'\n'"$names" 20200101000000Z 20210101000000Z
    make_signed future ca "$leaf"$'\n'"$names" 20990101000000Z 20991231000000Z
    make_signed untrusted stranger "$leaf"$'\n'"$names"
    make_signed issuer ca "basicConstraints=critical,CA:true,pathlen:0
keyUsage=critical,keyCertSign"
    make_signed intermediate issuer "$leaf"$'\n'"$names"
    cat issuer.pem >>intermediate.pem
    make_key selfsigned
    openssl req -x509 -new -key selfsigned.key -subj "/CN=localhost" -days 3650 \
        -out selfsigned.pem -addext "$names"
    openssl genrsa -out rsa.key 2048
    make_signed rsa ca "${leaf/critical,digitalSignature/critical,digitalSignature,keyEncipherment}
$names"
    for name in localhost other rsa issuer; do make_pin "$name"; done
    mv issuer.pin intermediate.issuer.pin
    rm -f stranger.* issuer.*
}

if ! make_all >certificates.log 2>&1; then
    cat certificates.log >&2
    echo "certificates.sh: openssl failed; is package openssl installed?" >&2
    exit 1
fi
rm -f certificates.log
