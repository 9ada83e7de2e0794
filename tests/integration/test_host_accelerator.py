"""The accelerator's verdict: by a real boot, once, remembered."""

import asyncio
import json
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from taskgen.errors import HostError, LaunchError
from taskgen.host import accelerator
from taskgen.host.accelerator import choose
from taskgen.host.qemu_command import Accelerator
from taskgen.profiles import load_profile


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("TASKGEN_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def boots(monkeypatch):
    """Instead of a boot with KVM; what was booted, and what comes of it."""
    calls = []
    outcome = [(True, "a guest boots with it")]

    async def boot(profile, user):
        calls.append(profile.name)
        await asyncio.sleep(0.05)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    monkeypatch.setattr(accelerator, "_boots", boot)
    monkeypatch.setattr(accelerator, "_obstacle", lambda user: None)
    return calls, outcome


def verdict(profile, *args, **options):
    return asyncio.run(choose(profile, *args, user=None, **options))


def test_a_real_boot_decides(profile, state, tmp_path, monkeypatch):
    # A copy: a build that goes on meanwhile would make it another question.
    copies = [shutil.copy2(path, tmp_path) for path in profile.image_files()]
    profile = replace(profile, kernel=Path(copies[0]), initrd=Path(copies[1]))
    if not Path("/dev/kvm").exists():
        assert verdict(profile).reason == "there is no /dev/kvm"
        return
    found = verdict(profile)
    assert found.reason == "a guest boots with it" or found.accelerator is Accelerator.TCG
    monkeypatch.setattr(accelerator, "_boots", None)  # it is known now
    assert verdict(profile) == found


def test_one_boot_for_all_who_ask(profile, state, boots):
    async def main():
        return await asyncio.gather(*(choose(profile, user=None) for _ in range(5)))

    calls, _ = boots
    assert {v.accelerator for v in asyncio.run(main())} == {Accelerator.KVM}
    assert verdict(profile).accelerator is Accelerator.KVM
    assert calls == ["linux-x86_64"]


def test_a_bad_verdict_is_remembered_and_warned_of_each_time(profile, state, boots, caplog):
    calls, outcome = boots
    outcome[0] = (False, "a guest with KVM shows no life within 8 s")
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert verdict(profile).accelerator is Accelerator.TCG
        assert "no KVM, so times are an emulator's: a guest with KVM shows no life" in caplog.text
    assert len(calls) == 1
    outcome[0] = (True, "a guest boots with it")
    assert verdict(profile, recheck=True).accelerator is Accelerator.KVM
    assert verdict(profile).accelerator is Accelerator.KVM
    assert len(calls) == 2


def test_another_image_is_another_question(profile, state, boots, tmp_path):
    calls, _ = boots
    image = tmp_path / "kernel"
    image.write_text("one")
    verdict(replace(profile, kernel=image))
    image.write_text("another")
    verdict(replace(profile, kernel=image))
    verdict(replace(profile, kernel=image, memory_mb=1024))
    assert len(calls) == 3


def test_failure_to_launch_is_not_remembered(profile, state, boots):
    calls, outcome = boots
    outcome[0] = LaunchError("no memory")
    for _ in range(2):
        assert "QEMU does not start with KVM: no memory" in verdict(profile).reason
    assert len(calls) == 2


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"works": "x"}}'])
def test_unusable_file_of_verdicts(profile, state, boots, text, caplog):
    state.mkdir()
    (state / "accelerator.json").write_text(text)
    assert verdict(profile).accelerator is Accelerator.KVM
    assert "not usable, so KVM is tried again" in caplog.text
    assert len(json.loads((state / "accelerator.json").read_text())) == 1


def test_foreign_architecture_needs_no_boot(state, boots, tmp_path):
    calls, _ = boots
    arm = load_profile("genode-pbxa9")
    assert verdict(arm).accelerator is Accelerator.TCG
    assert "arm" in verdict(replace(arm, accelerators=("kvm", "tcg"))).reason
    assert not calls


def test_as_asked_for(profile, state, boots):
    calls, _ = boots
    assert verdict(profile, "tcg").accelerator is Accelerator.TCG
    assert verdict(profile, "kvm").accelerator is Accelerator.KVM
    with pytest.raises(HostError, match="not with kvm"):
        verdict(load_profile("genode-pbxa9"), "kvm")
    assert not calls


def test_device_of_root_only_is_an_obstacle(monkeypatch, tmp_path):
    device = tmp_path / "kvm"
    monkeypatch.setattr(accelerator, "KVM_DEVICE", device)
    assert "there is no" in accelerator._obstacle(None).reason
    device.touch(mode=0o600)
    assert accelerator._obstacle(None) is None
    assert "for root only" in accelerator._obstacle("nobody").reason
    device.chmod(0o666)
    assert accelerator._obstacle("nobody") is None
    os.chown(device, 0, 1)
    device.chmod(0o660)
    assert accelerator._obstacle("nobody") is None
