"""`inject`: a fault for as long as a block runs."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from meshware.core.fault import Fault
from meshware.mesh import Mesh
from meshware.testing import inject


@pytest.fixture
def mesh():
    mesh = Mesh.from_settings({"services": {"inventory": {"endpoints": ["10.0.0.1:80"]}}})
    yield mesh
    mesh.close()


def faults(mesh):
    found = mesh.services["inventory"].faults
    return found and found.faults


def test_a_fault_is_there_for_as_long_as_the_block_runs(mesh):
    mesh.install()
    with inject("inventory", abort=503):
        assert faults(mesh) == (Fault(abort=503),)
    assert faults(mesh) is None


def test_it_goes_whatever_the_block_raises(mesh):
    def interrupted():
        with inject(mesh.services["inventory"], reset=True, percentage=50):
            assert faults(mesh) == (Fault(reset=True, share=0.5),)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert faults(mesh) is None


def test_one_in_another_comes_first_and_each_ends_alone(mesh):
    service = mesh.services["inventory"]
    outer, inner = inject(service, abort=500), inject(service, abort=500)
    outer.__enter__()
    inner.__enter__()
    assert len(faults(mesh)) == 2
    outer.__exit__(None, None, None)
    assert len(faults(mesh)) == 1
    inner.__exit__(None, None, None)
    assert faults(mesh) is None


def test_what_the_settings_say_stays(mesh):
    source = {"services": {"inventory": {"endpoints": ["10.0.0.1:80"], "faults": [{"reset": True}]}}}
    mesh.reload(source)
    with inject(mesh.services["inventory"], abort=503):
        mesh.reload(source)
        assert faults(mesh) == (Fault(abort=503), Fault(reset=True))
    assert faults(mesh) == (Fault(reset=True),)


def test_it_has_an_end_from_now_on(mesh):
    with inject(mesh.services["inventory"], reset=True, until=60):
        (fault,) = faults(mesh)
        assert 0 < fault.until - mesh.clock() <= 60


def test_what_is_no_fault_or_no_service_is_refused(mesh):
    with pytest.raises(LookupError, match="no mesh in force"), inject("inventory", abort=503):
        pass
    mesh.install()
    with pytest.raises(LookupError, match="pricing: no service of"), inject("pricing", abort=503):
        pass
    with pytest.raises(ValidationError, match="exactly one"), inject("inventory"):
        pass
