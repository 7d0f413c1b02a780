"""Completion of commands, options and names, by Python and by a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import zoo
from zoo.__main__ import main
from zoo.cli.completion import SCRIPTS, candidates

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("zoo pre", ["predict"]),
        ("zoo list pre", ["pretrained"]),
        ("zoo info wide", ["wide_resnet"]),
        ("zoo train mod", ["model="]),
        ("zoo train model=res", ["model=resnet"]),
        ("zoo train --model res", ["resnet"]),
        ("zoo train --model=res", ["--model=resnet"]),
        ("zoo train --opt", ["--optimizer="]),
        ("zoo train model=cnn model.dr", ["model.dropout="]),
        ("zoo train model=cnn --trainer.max_ep", ["--trainer.max_epochs="]),
        ("zoo export cnn/digits format=on", ["format=onnx"]),
        ("zoo export cnn/digits --format ", ["onnx", "safetensors", "torch_export"]),
        ("zoo play --window ", ["false", "true"]),
        ("zoo predict cnn/d", ["cnn/digits"]),
        ("zoo resume la", ["latest"]),
        ("zoo completion f", ["fish"]),
        ("zoo nosuch x", []),
        ("zoo train 'open", []),
    ],
)
def test_candidates_of_the_last_word(line, words):
    assert candidates(line) == words


def test_candidates_of_a_path_are_left_to_the_shell():
    assert candidates("zoo predict cnn/digits photos/") == []


@pytest.mark.parametrize("shell", SCRIPTS)
def test_completion_prints_a_script_that_asks_the_command(shell, capsys):
    assert main(["completion", shell]) == 0
    assert "zoo completion --line" in capsys.readouterr().out


def test_completion_rejects_other_shells(capsys):
    assert main(["completion", "bsh"]) == 2
    assert "did you mean 'bash'" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_completion_in_bash(tmp_path):
    lines = ["zoo pre", "zoo train model=res", "zoo train --optimizer sg", "zoo export cnn/digits --format=on"]
    script = f"""
zoo() {{ {sys.executable} -m zoo "$@"; }}
eval "$(zoo completion bash)"
complete -p zoo
complete_line() {{
    COMP_LINE="$1" COMP_POINT=${{#1}}
    read -ra COMP_WORDS <<< "${{1//=/ = }}"   # as bash splits, at equals signs
    [[ "$1" == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _zoo
    echo "${{COMPREPLY[@]}}"
}}
""" + "\n".join(f"complete_line '{line}'" for line in lines)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines()[1:] == ["predict", "resnet", "sgd", "onnx"]
    assert "-F _zoo zoo" in done.stdout.splitlines()[0]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_script_parses_in_its_shell(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(SCRIPTS[shell])
    subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_version_is_in_the_completed_words():
    assert "--version" in candidates("zoo --v")
    assert zoo.__version__
