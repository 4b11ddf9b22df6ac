#!/usr/bin/env bash
# ./run.sh                  the main job on the embedded sample, with a small BERT from scratch: needs no network but the package index
# ./run.sh <task> [flags]   any recipe of recipes/ (or path/my_recipe.py), one process for each visible GPU, or as
#                           --config_file recipes/accelerate/NAME.yaml says
# ./run.sh test [flags]     the tests
set -euo pipefail
cd "$(dirname "$0")"

venv=${HFCLS_VENV:-.venv}

install() {
  local wanted
  wanted=$(cat requirements.lock pyproject.toml | cksum)
  [ "$(cat "$venv/installed" 2>/dev/null)" = "$wanted" ] && return
  local python=${PYTHON:-python3}
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $("$python" --version 2>&1) is too old: hfcls needs Python 3.11 or newer; name one with PYTHON=…" >&2
    exit 2
  fi
  local packages
  packages=$(grep -c == requirements.lock)
  echo "installing $packages packages into $venv, once: 0.5 GB to download, 3 GB where torch comes with CUDA, as on Linux"
  [ "$(uname)" != Linux ] || command -v nvidia-smi > /dev/null ||
    echo "(without CUDA: Ctrl-C, then PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu ./run.sh)"
  trap 'echo "interrupted: the same command goes on installing" >&2; exit 130' INT
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --disable-pip-version-check --progress-bar off -r requirements.lock | progress "$packages" || {
    echo "error: not installed; name a mirror of the package index with PIP_INDEX_URL=…, or a folder of wheels with" \
      "PIP_NO_INDEX=1 PIP_FIND_LINKS=…, and call it again" >&2
    exit 2
  }
  PYTHONWARNINGS=ignore "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
  echo "$wanted" > "$venv/installed"
  trap - INT
}

# What pip prints, as one line that counts; in a file, only downloads of 10 MB and more have a line.
progress() {
  local line collected=0 total=$1 what
  while IFS= read -r line; do
    case $line in
      "Collecting "* | "Processing "* | "Requirement already satisfied"*)
        collected=$((collected + 1)) what=${line%% (from *} what=${what##*[ /]}
        [ "$collected" -le "$total" ] || total=$collected # CUDA is not in the lock: it is of some systems
        ;;
      *".metadata "*) continue ;;
      *"Downloading "*.whl\ * | *"Downloading "*.tar.gz\ *) what="downloading ${line##*Downloading }" ;;
      "Installing collected packages"*) what="unpacking all of them" ;;
      *) continue ;;
    esac
    if [ -t 1 ]; then
      printf '\r\033[K%.79s' "$collected of $total: $what"
    elif [[ $what =~ \([0-9]{2,}[.0-9]*\ MB || $what =~ GB || $what = unpacking* ]]; then
      echo "$collected of $total: $what"
    fi
  done
  [ ! -t 1 ] || printf '\r\033[K'
}

visible_gpus() {
  if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
    echo "$CUDA_VISIBLE_DEVICES" | tr ',' '\n' | sed '/^-1$/,$d' | grep -c .
  elif command -v nvidia-smi > /dev/null; then
    nvidia-smi --list-gpus | grep -c '^GPU'
  else
    echo 0
  fi || true
}

launch() {
  local task=$1 recipe=recipes/$1.py
  shift
  case $task in *.py) recipe=$task ;; esac
  if [ ! -f "$recipe" ]; then
    echo "error: no recipe $task; there are: $(cd recipes && ls -- *.py | sed 's/\.py$//' | tr '\n' ' ')" >&2
    exit 2
  fi
  case " $* " in
    *" --help "* | *" -h "*) exec "$venv/bin/python" "$recipe" --help ;;
  esac
  local before=() config=
  while [ $# -gt 0 ]; do
    case $1 in
      --config_file) config=${2-} && shift ;;
      --config_file=*) config=${1#*=} ;;
      *) before+=("$1") ;;
    esac
    shift
  done
  set -- ${before[@]+"${before[@]}"}
  if [ -n "$config" ]; then
    if [ ! -f "$config" ]; then
      echo "error: --config_file $config: no such file; those of the house are in recipes/accelerate" >&2
      exit 2
    fi
    exec "$venv/bin/accelerate" launch --quiet --config_file "$config" "$recipe" "$@"
  fi
  local gpus
  gpus=$(visible_gpus)
  # One process needs no launcher, which would turn every exit code into 1 and Ctrl-C into a traceback.
  [ "$gpus" -le 1 ] && exec "$venv/bin/python" "$recipe" "$@"
  local flags=(--quiet --num_machines 1 --num_processes "$gpus" --mixed_precision no --dynamo_backend no --multi_gpu)
  exec "$venv/bin/accelerate" launch "${flags[@]}" "$recipe" "$@"
}

install
case ${1-} in
  "") launch thucnews_bert --from_scratch tiny --output_dir "outputs/quickstart-$(date +%Y%m%d-%H%M%S)" ;;
  test) shift && exec "$venv/bin/python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@" ;;
  -h | --help) sed -n '2,5s/^# //p' "$0" ;;
  *) launch "$@" ;;
esac
