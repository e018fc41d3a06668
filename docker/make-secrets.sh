#!/bin/sh
# Makes the passwords that compose.yaml mounts, once; those that are there are kept.
# The folder is for its owner alone; the files in it are readable, since each container reads them as a user of its own.
set -eu
folder="$(dirname "$0")/secrets"
mkdir -p "$folder"
chmod 700 "$folder"

password() { LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32; }
keep() { [ -s "$folder/$1" ] || { printf '%s' "$2" >"$folder/$1.draft" && mv "$folder/$1.draft" "$folder/$1"; }; }

keep shopgraph_neo4j_password "$(password)"
keep neo4j_auth "neo4j/$(cat "$folder/shopgraph_neo4j_password")"
keep valkey_password "$(password)"
keep shopgraph_broker_url "redis://:$(cat "$folder/valkey_password")@valkey:6379/0"
echo "secrets are in $folder"
