"""The virtual machines that other tests run in: what a command sees there, and how its end is told."""
from pathlib import Path

import cpio
import kernels
import machine
import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.vm
@pytest.mark.parametrize('label', ['6.1-amd64', '6.1-arm64'])
def test_a_command_runs_on_that_kernel_in_the_project_with_tracefs_and_python(label, guest_snapshot):
    script = f'''
        {guest_snapshot}
        uname -r
        cat $KERNEL/release
        pwd
        python3 -c 'import elftools, pytest; print("imported")'
        echo 'p:surftrace_test/probe wake_up_new_task' >/sys/kernel/tracing/kprobe_events
        snapshot | grep -o surftrace_test.probe
        echo written >/tmp/only_in_the_guest && cat /tmp/only_in_the_guest
        exit 7'''
    status, output = machine.run(label, script)
    release = (kernels.kernel(label) / 'release').read_text().strip()
    host = '/host' if 'arm64' in label else ''
    probes = ['surftrace_test/probe'] * 2   # in kprobe_events and in dynamic_events
    assert output.splitlines() == [release, release, f'{host}{PROJECT}', 'imported', *probes, 'written']
    assert status == 7
    assert not Path('/tmp/only_in_the_guest').exists()


@pytest.mark.vm
@pytest.mark.parametrize(('command', 'status', 'output'), [
    pytest.param('echo begun; sleep 1000', machine.TIMED_OUT, 'begun', id='a command that does not end'),
    pytest.param('echo c >/proc/sysrq-trigger; sleep 1000', machine.DIED, 'sysrq', id='a kernel that panics'),
])
def test_a_command_without_an_end_is_told_by_its_status(command, status, output):
    run = machine.run('6.1-amd64', command, timeout=5 if status == machine.TIMED_OUT else 120)
    assert run.status == status
    assert output in run.output


def test_modules_come_after_what_they_need(tmp_path):
    (tmp_path / 'kernel').mkdir()
    for name, depends in (('disk', 'bus-core,ring'), ('bus_core', 'ring'), ('ring', '')):
        (tmp_path / f'kernel/{name}.ko').write_bytes(b'\x7fELF\0license=GPL\0depends=%s\0' % depends.encode())
    (tmp_path / 'modules.builtin').write_text('kernel/fs/overlay.ko\n')
    assert [name for name, _ in kernels.load_order(tmp_path, ['overlay', 'disk'])] == ['ring', 'bus_core', 'disk']
    with pytest.raises(ValueError, match='no module nonsense'):
        kernels.load_order(tmp_path, ['nonsense'])


def test_an_initramfs_is_a_sequence_of_padded_entries():
    image = cpio.initramfs({'init': b'echo', 'bin/sh': b'x' * 5}, ('proc',))
    assert len(image) % 4 == 0
    names = [part[104:].split(b'\0')[0] for part in image.split(b'070701')[1:]]
    assert names == [b'bin', b'proc', b'init', b'bin/sh', b'TRAILER!!!']
