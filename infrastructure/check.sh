#!/usr/bin/env bash
# Proves what can be proved of a deploy without an account: both stages package in an empty environment without a
# warning, their templates and archives hold to the contract (the test project "cloud"), and cfn-lint and checkov find
# nothing. The Python tools live in a virtual environment under .data/.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

tools=.data/python-tools
if ! cmp -s infrastructure/requirements.txt "$tools/requirements.txt"; then
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/python" -m pip install --quiet --disable-pip-version-check -r infrastructure/requirements.txt
  cp infrastructure/requirements.txt "$tools/requirements.txt"
fi

# Packages both stages on its way, into .data/cloud/<stage>, and a copy with a WebSocket API, into .data/cloud/sockets.
node local/install.mjs
reporters=()
[ -z "${VITEST_RESULTS:-}" ] || reporters=(--reporter=default --reporter=json --outputFile.json="$VITEST_RESULTS")
vitest run --project cloud "${reporters[@]}"

for stage in sockets dev prod; do
  template=.data/cloud/$stage/cloudformation-template-update-stack.json
  "$tools/bin/cfn-lint" "$template"
  "$tools/bin/checkov" --skip-download --config-file infrastructure/checkov.yml --file "$template"
done
skipped=$(grep -c '^  - CKV' infrastructure/checkov.yml)
echo "cloud: dev and prod package without warnings; cfn-lint 0 findings; checkov 0 failed, $skipped ids left out"
