"""What ships is found, and used where the user chose nothing else."""

import os

import pytest

from semantic_fast_sam_ros.core.base import folders


@pytest.mark.parametrize('chosen', [None, ''])
def test_a_process_without_dds_profile_gets_the_shipped_one(monkeypatch, chosen):
    monkeypatch.setenv(folders.DDS_PROFILE, chosen or '')
    if chosen is None:
        monkeypatch.delenv(folders.DDS_PROFILE)
    folders.use_shared_memory()
    shipped = folders.resource_folder('config') / 'fastdds_shared_memory.xml'
    assert os.environ[folders.DDS_PROFILE] == str(shipped)


def test_a_dds_profile_that_the_user_chose_stays(monkeypatch):
    monkeypatch.setenv(folders.DDS_PROFILE, '/my/profile.xml')
    folders.use_shared_memory()
    assert os.environ[folders.DDS_PROFILE] == '/my/profile.xml'
