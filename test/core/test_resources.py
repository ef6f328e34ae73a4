"""What ships is found, and used where the user chose nothing else."""

import os

import pytest

from semantic_fast_sam_ros.core import resources


@pytest.mark.parametrize('chosen', [None, ''])
def test_a_process_without_dds_profile_gets_the_shipped_one(monkeypatch, chosen):
    monkeypatch.setenv(resources.DDS_PROFILE, chosen or '')
    if chosen is None:
        monkeypatch.delenv(resources.DDS_PROFILE)
    resources.use_shared_memory()
    shipped = resources.resource_folder('config') / 'fastdds_shared_memory.xml'
    assert os.environ[resources.DDS_PROFILE] == str(shipped)


def test_a_dds_profile_that_the_user_chose_stays(monkeypatch):
    monkeypatch.setenv(resources.DDS_PROFILE, '/my/profile.xml')
    resources.use_shared_memory()
    assert os.environ[resources.DDS_PROFILE] == '/my/profile.xml'
