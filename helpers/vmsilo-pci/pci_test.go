package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tree is a host's files in a folder of the test's own, shaped like sysfs. What the kernel does when its files are written it
// does not do: tests/scenarios/passthrough.sh has a real one.
type tree struct {
	t      *testing.T
	folder string
	host
}

func newTree(t *testing.T) *tree {
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	tr := &tree{t, folder, host{sys: path("sys"), dev: path("dev"), mounts: path("mounts"), swaps: path("swaps")}}
	tr.file("mounts", "")
	tr.file("swaps", "Filename\tType\tSize\tUsed\tPriority\n")
	tr.file("records/.keep.tmp", "")
	tr.file("sys/bus/pci/drivers_probe", "")
	tr.file("sys/bus/pci/drivers/vfio-pci/unbind", "")
	return tr
}

func (tr *tree) must(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) file(name, content string) {
	tr.t.Helper()
	path := filepath.Join(tr.folder, name)
	tr.must(errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)))
}

// link makes a link by the two names in the tree.
func (tr *tree) link(name, target string) {
	tr.t.Helper()
	path := filepath.Join(tr.folder, name)
	tr.must(errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.RemoveAll(path), os.Symlink(filepath.Join(tr.folder, target), path)))
}

func (tr *tree) read(name string) string {
	tr.t.Helper()
	content, err := os.ReadFile(filepath.Join(tr.folder, name))
	tr.must(err)
	return string(content)
}

// device adds a device of a class, a driver and an IOMMU group, and returns its folder.
func (tr *tree) device(address, class, driver, group string) string {
	folder := "sys/devices/pci0000:00/" + address
	tr.file(folder+"/class", class+"\n")
	tr.file(folder+"/driver_override", "(null)\n")
	tr.link("sys/bus/pci/devices/"+address, folder)
	if driver != "" {
		tr.file("sys/bus/pci/drivers/"+driver+"/unbind", "")
		tr.file("sys/bus/pci/drivers/"+driver+"/bind", "")
		tr.link(folder+"/driver", "sys/bus/pci/drivers/"+driver)
	}
	if group != "" {
		tr.link("sys/kernel/iommu_groups/"+group+"/devices/"+address, folder)
		tr.link(folder+"/iommu_group", "sys/kernel/iommu_groups/"+group)
		tr.file("dev/vfio/"+group, "")
	}
	return folder
}

// disk adds a block device below a folder.
func (tr *tree) disk(number, folder string) {
	tr.must(os.MkdirAll(filepath.Join(tr.folder, folder), 0o755))
	tr.link("sys/dev/block/"+number, folder)
}

func (tr *tree) run(args ...string) error { return run(tr.host, args) }

func (tr *tree) take(vm, devices string) error {
	return tr.run("take", "--uid=70003", "--devices="+devices, filepath.Join(tr.folder, "records", vm))
}

func (tr *tree) give(vm string) error {
	return tr.run("give", filepath.Join(tr.folder, "records", vm))
}

// wants compares an error with what is wanted in it, in one line; "" wants none.
func (tr *tree) wants(what string, err error, want string) {
	tr.t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
		tr.t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func TestRefusals(t *testing.T) {
	tr := newTree(t)
	tr.device("0000:00:01.0", "0x060400", "pcieport", "1")
	tr.device("0000:00:02.0", "0x020000", "e1000e", "1")
	tr.device("0000:00:03.0", "0x030000", "nouveau", "3")
	tr.device("0000:00:03.1", "0x040300", "", "3")
	tr.device("0000:00:04.0", "0x010802", "nvme", "")
	tr.device("0000:00:05.0", "0x060100", "", "5")
	tr.device("0000:00:06.0", "0x020000", "vfio-pci", "6")
	tr.file("records/b", `{"Devices": [{"Address": "0000:00:06.0", "Driver": "e1000e"}]}`)
	before := tr.all()
	for devices, want := range map[string]string{
		"0000:00:0f.0":              `PCI device "0000:00:0f.0" is not there`,
		"0000:00:01.0":              `PCI device "0000:00:01.0" is a bridge, of class 0x0604`,
		"0000:00:05.0":              `PCI device "0000:00:05.0" is a bridge, of class 0x0601`,
		"0000:00:03.0":              `PCI device "0000:00:03.0" is in one IOMMU group with "0000:00:03.1", which nobody has`,
		"0000:00:02.0 0000:00:03.1": `PCI device "0000:00:03.1" is in one IOMMU group with "0000:00:03.0", which nouveau has`,
		"0000:00:04.0":              `PCI device "0000:00:04.0" is in no IOMMU group`,
		"0000:00:06.0":              `PCI device "0000:00:06.0" is in VM "b"`,
		"":                          "want a user and devices",
	} {
		tr.wants(devices, tr.take("a", devices), want)
		if now := tr.all(); now != before {
			t.Errorf("%s: something was changed:\n%s\nwas:\n%s", devices, now, before)
		}
	}
	tr.must(os.RemoveAll(filepath.Join(tr.folder, "sys/bus/pci/drivers/vfio-pci")))
	tr.wants("no vfio-pci", tr.take("a", "0000:00:02.0"), `the host has no driver "vfio-pci"`)
}

// all returns every file of the tree and its content.
func (tr *tree) all() string {
	var b strings.Builder
	tr.must(filepath.WalkDir(tr.folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			content, _ := os.ReadFile(path)
			b.WriteString(strings.TrimPrefix(path, tr.folder) + ": " + string(content) + "\n")
		}
		return err
	}))
	return b.String()
}

func TestDisks(t *testing.T) {
	const mount = "22 1 %s / %p rw,relatime shared:1 - %k %s rw\n"
	line := func(number, place, kind, source string) string {
		return strings.NewReplacer("%s / %p", number+" / "+place, "%k %s", kind+" "+source).Replace(mount)
	}
	for what, c := range map[string]struct {
		mounts, want string
		disks        func(tr *tree, device string)
	}{
		"none": {line("0:22", "/proc", "proc", "proc"), "", func(*tree, string) {}},
		"a disk that the host does not use": {line("8:17", "/", "ext4", "/dev/sdb1"), "", func(tr *tree, device string) {
			tr.disk("8:1", device+"/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1")
			tr.disk("8:17", "sys/devices/pci0000:00/0000:00:08.0/ata2/block/sdb/sdb1")
		}},
		"the root": {line("8:1", "/", "ext4", "/dev/root"), `with "/"`, func(tr *tree, device string) {
			tr.disk("8:1", device+"/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1")
		}},
		"/var on a volume, encrypted": {line("254:1", "/var", "xfs", "/dev/mapper/x"), `with "/var"`, func(tr *tree, device string) {
			tr.disk("259:2", device+"/nvme/nvme0/nvme0n1/nvme0n1p2")
			tr.link("sys/devices/virtual/block/dm-0/slaves/nvme0n1p2", device+"/nvme/nvme0/nvme0n1/nvme0n1p2")
			tr.link("sys/devices/virtual/block/dm-1/slaves/dm-0", "sys/devices/virtual/block/dm-0")
			tr.disk("254:1", "sys/devices/virtual/block/dm-1")
		}},
		"/boot on a partition of a RAID": {line("9:1", "/boot", "ext4", "/dev/md0p1"), `with "/boot"`, func(tr *tree, device string) {
			tr.disk("8:0", device+"/ata1/block/sda")
			tr.link("sys/devices/virtual/block/md0/slaves/sda", device+"/ata1/block/sda")
			tr.disk("9:1", "sys/devices/virtual/block/md0/md0p1")
		}},
		"a disk of NVMe with several controllers": {line("259:1", "/usr", "erofs", "/dev/nvme0n1p1"), `with "/usr"`, func(tr *tree, device string) {
			tr.disk("259:9", device+"/nvme/nvme0")
			tr.link("sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0", device+"/nvme/nvme0")
			tr.disk("259:1", "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1")
			tr.disk("259:0", "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1")
		}},
	} {
		tr := newTree(t)
		c.disks(tr, tr.device("0000:00:07.0", "0x010601", "vfio-pci", "7"))
		tr.file("mounts", c.mounts)
		if c.want != "" {
			c.want = `PCI device "0000:00:07.0" has a disk of the host, ` + c.want
		}
		tr.wants(what, tr.take("a", "0000:00:07.0"), c.want)
	}
}

// A disk that is /dev/loop0 or any other block device of this machine, by its number.
func TestDisksByName(t *testing.T) {
	disks, _ := filepath.Glob("/sys/block/*/dev")
	i := slices.IndexFunc(disks, func(path string) bool {
		_, err := os.Stat("/dev/" + filepath.Base(filepath.Dir(path)))
		return err == nil
	})
	if i < 0 {
		t.Fatal("this machine has no block device")
	}
	name := filepath.Base(filepath.Dir(disks[i]))
	number, err := os.ReadFile(disks[i])
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ file, content, want string }{
		"swap":              {"swaps", "Filename Type Size Used Priority\n/dev/" + name + " partition 1 0 -2\n", "with swap"},
		"a file of swap":    {"swaps", "Filename Type Size Used Priority\n/dev/" + name + " file 1 0 -2\n", ""},
		"a btrfs":           {"mounts", "22 1 0:30 /@ / rw - btrfs /dev/" + name + " rw\n", `with "/"`},
		"several disks":     {"mounts", "22 1 0:30 / /srv rw - bcachefs /dev/nowhere:/dev/" + name + " rw\n", `with "/srv"`},
		"none of the tests": {"mounts", "22 1 0:30 / /srv rw - tmpfs " + name + " rw\n", ""},
	} {
		tr := newTree(t)
		device := tr.device("0000:00:07.0", "0x010601", "vfio-pci", "7")
		other := tr.device("0000:00:08.0", "0x010601", "vfio-pci", "8")
		tr.disk(strings.TrimSpace(string(number)), device+"/block/"+name)
		tr.link("sys/fs/btrfs/u-u-i-d/devices/"+name, device+"/block/"+name)
		tr.disk("1:1", other+"/block/other")
		tr.link("sys/fs/btrfs/u-u-i-d/devices/other", other+"/block/other")
		tr.file(c.file, c.content)
		tr.wants(what, tr.take("a", "0000:00:07.0"), strings.Replace(c.want, "with", "has a disk of the host, with", 1))
		if what == "a btrfs" {
			tr.wants("its other disk", tr.take("a", "0000:00:08.0"), `has a disk of the host, with "/"`)
		}
	}
}

// Devices that are vfio-pci's already are the VM's user's while the VM has them, and vfio-pci's after that.
func TestLend(t *testing.T) {
	tr := newTree(t)
	tr.device("0000:00:03.0", "0x030000", "vfio-pci", "3")
	tr.device("0000:00:03.1", "0x040300", "vfio-pci", "3")
	node := filepath.Join(tr.folder, "dev/vfio/3")
	tr.wants("taken", tr.take("a", "0000:00:03.0 0000:00:03.1"), "")
	acl, err := readACL(node)
	tr.must(err)
	want := []entry{{aclOwner, 6, aclNobody}, {aclUser, 6, 70003}, {aclGroup, 0, aclNobody}, {aclMask, 6, aclNobody}, {aclOther, 0, aclNobody}}
	if got := decode(acl); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	tr.wants("another VM", tr.take("b", "0000:00:03.0 0000:00:03.1"), `PCI device "0000:00:03.0" is in VM "a"`)
	tr.wants("taken again", tr.take("a", "0000:00:03.0 0000:00:03.1"), "")
	for range 2 {
		tr.wants("given", tr.give("a"), "")
		if info, err := os.Stat(node); err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if left, _ := filepath.Glob(tr.folder + "/records/a*"); left != nil {
			t.Errorf("left: %q", left)
		}
	}
	if now := tr.read("sys/bus/pci/drivers/vfio-pci/unbind"); now != "" {
		t.Errorf("vfio-pci has lost %q", now)
	}
}

// A list that is there already keeps its entries.
func TestACL(t *testing.T) {
	before := encode([]entry{{aclOwner, 6, aclNobody}, {aclUser, 4, 1000}, {aclGroup, 6, aclNobody}, {aclMask, 4, aclNobody}, {aclOther, 0, aclNobody}})
	want := []entry{{aclOwner, 6, aclNobody}, {aclUser, 4, 1000}, {aclUser, 6, 70003}, {aclGroup, 6, aclNobody}, {aclMask, 6, aclNobody}, {aclOther, 0, aclNobody}}
	for acl := before; ; acl = withUser(before, 70003) {
		if got := decode(withUser(acl, 70003)); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if string(acl) != string(before) {
			break
		}
	}
	path := filepath.Join(t.TempDir(), "file")
	err := errors.Join(os.WriteFile(path, nil, 0o600), writeACL(path, withUser(before, 70003)), writeACL(path, before))
	if after, readErr := readACL(path); err != nil || readErr != nil || string(after) != string(before) {
		t.Errorf("%v, %v: %v", err, readErr, decode(after))
	}
}

// What could not be taken is as before, and says so.
func TestUndone(t *testing.T) {
	tr := newTree(t)
	folder := tr.device("0000:00:02.0", "0x020000", "e1000e", "2")
	// Here no kernel does anything: the driver keeps the device.
	tr.wants("taken", tr.take("a", "0000:00:02.0"), `vfio-pci does not take PCI device "0000:00:02.0"`)
	if got := tr.read("sys/bus/pci/drivers/e1000e/unbind"); got != "0000:00:02.0" {
		t.Errorf("the driver was told %q", got)
	}
	if got := tr.read(folder + "/driver_override"); strings.TrimSpace(got) == vfio {
		t.Errorf("the device is still vfio-pci's alone: %q", got)
	}
}

func TestGive(t *testing.T) {
	tr := newTree(t)
	tr.device("0000:00:02.0", "0x020000", "e1000e", "2")
	folder := tr.device("0000:00:02.0", "0x020000", "vfio-pci", "2")
	tr.file("records/a", `{"Devices": [
		{"Address": "0000:00:02.0", "Driver": "e1000e", "Override": "e1000e"}, {"Address": "0000:00:09.0", "Driver": "gone"}],
		"Nodes": [{"Path": "`+tr.folder+`/dev/vfio/none"}]}`)
	tr.file("records/a.tmp", "half of it")
	tr.wants("given", tr.give("a"), "")
	for name, want := range map[string]string{
		"sys/bus/pci/drivers/vfio-pci/unbind": "0000:00:02.0",
		"sys/bus/pci/drivers/e1000e/bind":     "0000:00:02.0",
		folder + "/driver_override":           "e1000e",
	} {
		if got := tr.read(name); strings.TrimSuffix(got, "(null)\n") != want && !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if left, _ := filepath.Glob(tr.folder + "/records/a*"); left != nil {
		t.Errorf("left: %q", left)
	}
	// A driver that is not there any more keeps nobody from having the device.
	tr.file("records/a", `{"Devices": [{"Address": "0000:00:02.0", "Driver": "nouveau"}]}`)
	tr.wants("given", tr.give("a"), `giving PCI device "0000:00:02.0" back to "nouveau"`)
	tr.wants("given again", tr.give("a"), "")
}

func TestArguments(t *testing.T) {
	tr := newTree(t)
	tr.wants("none", run(tr.host, nil), "want take or give")
	tr.wants("another word", tr.run("lend", tr.folder+"/records/a"), "want take or give")
	tr.wants("no record", tr.run("give"), "want one record")
	tr.wants("no user", tr.run("take", "--devices=0000:00:02.0", tr.folder+"/records/a"), "want a user and devices")
	tr.file("records/a", "half of it")
	tr.wants("a bad record", tr.give("a"), "reading the record")
}

// A disk that somebody has for himself, and that neither is mounted nor swap.
func TestBusy(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	disk := strings.TrimSpace(string(out))
	defer exec.Command("losetup", "--detach", disk).Run()
	tr := newTree(t)
	tr.dev = "/dev"
	device := tr.device("0000:00:07.0", "0x010601", "vfio-pci", "7")
	tr.file(device+"/block/x/dev", "")
	tr.link("sys/class/block/"+filepath.Base(disk), device+"/block/x")
	look := func() error {
		_, err := tr.look(filepath.Join(tr.folder, "records/a"), []string{"0000:00:07.0"})
		return err
	}
	tr.wants("nobody's", look(), "")
	held, err := os.OpenFile(disk, os.O_RDWR|unix.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	tr.wants("somebody's", look(), `PCI device "0000:00:07.0" has a disk of the host, with "`+disk+`", which is in use`)
	held.Close()
	tr.wants("nobody's again", look(), "")
}
