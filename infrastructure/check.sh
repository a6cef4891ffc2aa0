#!/usr/bin/env bash
# Proves what can be proved of a deploy without an account: both stages package in an empty environment without a
# warning, their templates and archives hold to the contract (the test project "cloud"), cfn-lint and checkov find
# nothing, and an emulated account takes the whole life of both stages (the test project "deploy"). The Python tools live
# in virtual environments under .data/. Without Python 3, the steps that need it are skipped, with a line that says so.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

# Installs the packages of a file into a virtual environment, once for each version of the file.
install_tools() {
  local folder=$1 requirements=$2
  if cmp -s "$requirements" "$folder/requirements.txt"; then return; fi
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --retries 10 -r "$requirements"
  cp "$requirements" "$folder/requirements.txt"
}

# Runs a test project. Its results go beside those of the others, where .ci/run counts them.
run_project() {
  local project=$1 reporters=()
  shift
  [ -z "${VITEST_RESULTS:-}" ] ||
    reporters=(--reporter=default --reporter=json --outputFile.json="${VITEST_RESULTS%.json}-$project.json")
  vitest run --project "$project" "${reporters[@]}" "$@"
}

# The interpreter is named here: the first line of a program of the environment cannot hold a path with a space.
lint() {
  local package template python=$tools/bin/python
  for package in dev prod; do
    template=.data/cloud/$package/cloudformation-template-update-stack.json
    "$python" "$tools/bin/cfn-lint" "$template"
    "$python" "$tools/bin/checkov" --skip-download --config-file infrastructure/checkov.yml --file "$template"
  done
}

tools=.data/python-tools
emulator=.data/emulator
if python3 -c 'import ensurepip, venv' 2>/dev/null; then
  has_python=yes
  install_tools "$tools" infrastructure/requirements.txt
  install_tools "$emulator" test/cloud/deploy/requirements.txt
else
  has_python=no
  rm -rf "$tools" "$emulator"
fi

# Packages both stages on its way, into .data/cloud/<stage>.
node local/install.mjs
run_project cloud
[ $has_python = no ] || lint
since=$SECONDS
# Each step of the deploy needs the steps before it.
run_project deploy --bail=1
seconds=$((SECONDS - since))

resources=$(node -e '
  const { readFileSync } = require("node:fs");
  const counts = ["dev", "prod"].map((name) => {
    const file = `.data/cloud/${name}/cloudformation-template-update-stack.json`;
    return `${name} ${Object.keys(JSON.parse(readFileSync(file, "utf8")).Resources).length}`;
  });
  console.log(counts.join(", "));
')
skipped=$(grep -c '^  - CKV' infrastructure/checkov.yml)
echo "cloud: resources of 500 in a stack: $resources"
if [ $has_python = yes ]; then
  echo "cloud: dev and prod package without warnings; cfn-lint 0 findings; checkov 0 failed, $skipped ids left out; the emulated deploy took $seconds s"
else
  echo "cloud: SKIPPED cfn-lint, checkov and the emulated deploy, which need Python 3 with its module venv. Install python3 and python3-venv, then run this again." >&2
fi
