#!/bin/sh
# amphi-server for a test whose clients do not use the loopback address (libnice leaves it out): media on AMPHI_MEDIA_ADDRESS.
case "$1" in
  serve) exec "$AMPHI_REAL_SERVER" "$@" --media-address "$AMPHI_MEDIA_ADDRESS" ;;
  *) exec "$AMPHI_REAL_SERVER" "$@" ;;
esac
