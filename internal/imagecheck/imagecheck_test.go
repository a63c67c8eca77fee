package imagecheck

import (
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vmsilo/internal/command"
)

// check looks at the files of these options. What is lent comes from borrow.
func check(borrow func() (*os.File, error), args ...string) error {
	var images Images
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	images.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	return images.Check(borrow, (*os.File).Close)
}

// TestMain is a program that checks where a test runs it as one.
func TestMain(m *testing.M) {
	if os.Getenv("VMSILO_TEST_CHECK") != "" {
		command.Main(func(args []string) error { return check(nil, args...) })
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestOptions(t *testing.T) {
	for _, option := range []string{
		"--file=x", "--disk=x=/dev/null", "--disk=x,vmdk,ro=/dev/null", "--disk=x,raw=/dev/null", "--disk=x,raw,ro,x=/dev/null",
		"--disk=x,raw,RW=/dev/null", "--lent=x,raw=/dev/null",
	} {
		if err := check(nil, option); err == nil || !strings.Contains(err.Error(), "malformed") {
			t.Errorf("%q: %v", option, err)
		}
	}
}

// mustCheck runs the check with the options, which must say want, in one line, or nothing when that is empty.
func mustCheck(t *testing.T, want string, args ...string) {
	t.Helper()
	said(t, check(nil, args...), want, args)
}

// said fails unless the error says want, in one line, or is none when that is empty.
func said(t *testing.T, err error, want string, args []string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%q: %v", args, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")):
		t.Errorf("%q: got %v, want %q", args, err, want)
	}
}

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func qemuImg(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %q: %v: %s", args, err, out)
	}
}

// The formats as QEMU itself writes them are not raw.
func TestRawOfQEMU(t *testing.T) {
	dir := t.TempDir()
	disk := func(name string) string { return filepath.Join(dir, name) }
	for _, format := range []string{"qcow2", "qcow", "qed", "vmdk", "vdi", "vhdx", "vpc", "parallels"} {
		qemuImg(t, "create", "-q", "-f", format, disk(format), "8M")
		mustCheck(t, "is to be raw, and has the header of", "--disk=root,raw,ro="+disk(format))
	}
	qemuImg(t, "create", "-q", "-f", "vpc", "-o", "subformat=fixed", disk("fixed"), "8M")
	mustCheck(t, "has the header of VHD", "--disk=root,raw,ro="+disk("fixed"))
	qemuImg(t, "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", disk("flat.vmdk"), "8M")
	mustCheck(t, "has the header of VMDK", "--disk=root,raw,ro="+disk("flat.vmdk"))
	mustCheck(t, "", "--disk=root,raw,ro="+disk("flat-flat.vmdk"))
}

func TestRaw(t *testing.T) {
	dir := t.TempDir()
	for _, f := range formats {
		content := make([]byte, 8192)
		at := f.offset
		if f.atEnd {
			at = len(content) - sector + f.offset
		}
		copy(content[at:], f.magic)
		path := write(t, filepath.Join(dir, "disk"), content)
		mustCheck(t, `its disk "home" "`+path+`" is to be raw, and has the header of `+f.name, `--disk=disk "home",raw,rw=`+path)
		// The same a byte further on is nothing.
		copy(content[at:], make([]byte, len(f.magic)))
		copy(content[at+1:], f.magic)
		mustCheck(t, "", "--disk=root,raw,ro="+write(t, path, content))
	}
	for name, content := range map[string]string{"empty": "", "short": "QF", "odd": strings.Repeat("x", 513), "luks": "LUKS\xba\xbe\x00\x01"} {
		mustCheck(t, "", "--disk=root,raw,ro="+write(t, filepath.Join(dir, name), []byte(content)))
	}
	// What a guest does, and what it is for.
	path := filepath.Join(dir, "a=b,c")
	if err := os.Truncate(write(t, path, nil), 1<<30); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, "", "--disk=data,raw,rw="+path)
	qemuImg(t, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", filepath.Join(dir, "evil"), "1M")
	evil, err := os.ReadFile(filepath.Join(dir, "evil"))
	if err != nil {
		t.Fatal(err)
	}
	disk, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if _, err := disk.Write(evil); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, "has the header of qcow2", "--disk=data,raw,rw="+path)
	var hinted *command.Hinted
	if err := check(nil, "--disk=data,raw,rw="+path); !errors.As(err, &hinted) || hinted.Hint == "" {
		t.Errorf("no hint with %v", err)
	}
}

func TestQcow2(t *testing.T) {
	dir := t.TempDir()
	disk := func(name string) string { return filepath.Join(dir, name) }
	qemuImg(t, "create", "-q", "-f", "qcow2", disk("ours"), "1M")
	write(t, disk("base"), make([]byte, 1<<20))
	qemuImg(t, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", disk("base"), disk("backed"))
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "compat=0.10", "-F", "raw", "-b", disk("base"), disk("backed-2"))
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "data_file="+disk("data"), disk("external"), "1M")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "compat=0.10", disk("version-2"), "1M")
	for name, want := range map[string]string{
		"ours": "", "version-2": "", "base": "is to be qcow2, and is not",
		"backed": "has a backing file", "backed-2": "has a backing file", "external": "has its data in another file",
	} {
		mustCheck(t, want, "--disk=home,qcow2,rw="+disk(name))
		mustCheck(t, want, "--ephemeral=1="+disk(name))
	}
	mustCheck(t, "is to be qcow2, and is not", "--ephemeral=1="+write(t, disk("cut"), []byte("QFI\xfb\x00\x00\x00\x03")))
	// A header that the kernel would not have made in one piece.
	content, err := os.ReadFile(disk("ours"))
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint64(content[qcow2Backing:], 1<<63)
	mustCheck(t, "has a backing file", "--ephemeral=1="+write(t, disk("far"), content))
}

// What is no file is not opened, and holds nothing up.
func TestKinds(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	file := write(t, path("file"), []byte("a kernel"))
	if err := errors.Join(
		syscall.Mkfifo(path("fifo"), 0o600), os.Symlink("fifo", path("to-fifo")), os.Symlink("loop", path("loop")),
		os.Symlink("file", path("to-file")), os.Symlink("/dev/zero", path("to-zero")),
	); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, "", "--file=kernel="+file, "--file=initrd="+path("to-file"), "--disk=root,raw,ro="+path("to-file"))
	start := time.Now()
	for name, want := range map[string]string{
		"fifo": "is not a regular file", "to-fifo": "is not a regular file", ".": "is not a regular file", "to-zero": "is not a regular file",
		"loop": "cannot be reached", "none": "is not there", "file/none": "cannot be reached",
	} {
		for _, option := range []string{"--file=kernel=", "--disk=root,raw,ro=", "--disk=home,qcow2,rw="} {
			mustCheck(t, want, option+path(name))
		}
	}
	mustCheck(t, `its ephemeral disk "`+path("to-file")+`" is a symbolic link`, "--ephemeral=1="+path("to-file"))
	mustCheck(t, "is not there", "--ephemeral=1="+path("no-folder/x"))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// As another user, who may not read what the link leads to.
func TestRights(t *testing.T) {
	dir := t.TempDir()
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	// The test itself is in a folder that the other user cannot reach.
	program := write(t, filepath.Join(dir, "check"), self)
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "vmlinuz")
	if err := errors.Join(os.Symlink("/etc/shadow", link), os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	readable := write(t, filepath.Join(dir, "raw"), nil)
	if err := os.Chmod(readable, 0o644); err != nil {
		t.Fatal(err)
	}
	check := func(args ...string) string {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "VMSILO_TEST_CHECK=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 70003, Gid: 70003}}
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	if got := check("--file=kernel=" + link); !strings.Contains(got, `error: this VM cannot start: its kernel "`+link+`" cannot be opened: permission denied`) ||
		!strings.Contains(got, "hint: the VM runs as uid 70003") {
		t.Errorf("got %q", got)
	}
	if got := check("--disk=home,raw,ro=" + readable); got != "" {
		t.Errorf("got %q", got)
	}
	if got := check("--disk=home,raw,rw=" + readable); !strings.Contains(got, "permission denied") {
		t.Errorf("got %q", got)
	}
}
