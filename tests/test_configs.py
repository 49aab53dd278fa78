"""The recipe stands in configs/base.py once; a data set's file says what its data demand."""

import subprocess
import sys

import pytest
from absl import flags
from ml_collections import config_flags
from tiny import ROOT, load_module

# How many keys of the recipe the main size changes or adds. Whoever raises one says why here.
MOST = {
    "sprites": 13,  # of its data, its benchmark and its re-reading
    "universal_lpc": 53,  # of a map, a grid, its data and a training ten times as long
    "talking_head": 61,  # of latents, and every size of a GPU
    "talking_head:small": 57,  # of a reference, a grid and a warp
}


def flat(config, prefix="") -> dict:
    found = {}
    for key, value in config.items():
        if hasattr(value, "items"):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


@pytest.mark.parametrize("name", MOST)
def test_a_data_sets_file_says_what_its_data_demand_and_no_more(name):
    base = flat(load_module("base").get_config())
    file, _, variant = name.partition(":")
    config = flat(load_module(file).get_config(variant))
    changed = {key for key in config if key not in base or config[key] != base[key]}
    assert len(changed) <= MOST[name], sorted(changed)
    assert len(config) - len(changed) >= 40, "little is left of the recipe"


def test_the_recipe_has_no_variants():
    with pytest.raises(ValueError, match="quick"):
        load_module("base").get_config("quick")


def test_the_recipe_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["", f"--config={ROOT}/configs/sprites.py:lpc", "--config.model.encoder.width=64"]
    holder = flags.FlagValues()
    flag = config_flags.DEFINE_config_file("config", flag_values=holder, sys_argv=given)
    holder(given)
    assert (flag.value.model.encoder.width, flag.value.data.art) == (64, "lpc")


@pytest.mark.parametrize(("said", "meant"), [("auto", "auto"), ("6", 6), ("5.5", 5.5)])
def test_a_target_is_bits_or_a_word(said, meant):
    given = ["", f"--config={ROOT}/configs/sprites.py"]
    given.append(f"--config.rates.target_bits_per_frame={said}")
    holder = flags.FlagValues()
    flag = config_flags.DEFINE_config_file("config", flag_values=holder, sys_argv=given)
    holder(given)
    assert flag.value.rates.target_bits_per_frame == meant


@pytest.mark.process
def test_a_process_elsewhere_finds_the_recipe(tmp_path):
    code = f"import runpy; runpy.run_path({str(ROOT / 'configs/sprites.py')!r})['get_config']()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
