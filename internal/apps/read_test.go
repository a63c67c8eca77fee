package apps

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// root is a folder that a test fills.
type root struct {
	*testing.T
	path string
}

func newRoot(t *testing.T) root { return root{t, t.TempDir()} }

func (r root) make(do func(path string) error, path string) {
	r.Helper()
	path = filepath.Join(r.path, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := do(path); err != nil {
		r.Fatal(err)
	}
}

func (r root) file(path, text string) {
	r.Helper()
	r.make(func(path string) error { return os.WriteFile(path, []byte(text), 0o644) }, path)
}

func (r root) link(target, path string) {
	r.Helper()
	r.make(func(path string) error { return os.Symlink(target, path) }, path)
}

func (r root) fifo(path string) {
	r.Helper()
	r.make(func(path string) error { return unix.Mkfifo(path, 0o644) }, path)
}

// read returns the programs by their IDs, and what is left out.
func (r root) read(how func(*os.File) ([]App, []string)) (map[string]App, string) {
	r.Helper()
	folder, err := os.Open(r.path)
	if err != nil {
		r.Fatal(err)
	}
	defer folder.Close()
	all, leftOut := how(folder)
	programs := map[string]App{}
	for _, app := range all {
		programs[app.ID] = app
	}
	return programs, strings.Join(leftOut, "\n")
}

const (
	programs = "usr/share/applications/"
	icons    = "usr/share/icons/hicolor/"
)

// Symlinks lead where they lead in the guest, and never to a file of the host.
func TestLinks(t *testing.T) {
	r, host := newRoot(t), newRoot(t)
	host.file("a.desktop", head+"Exec=host")
	host.file("a.png", picture(t, 8, 8))
	r.file("opt/a/a.desktop", head+"Exec=guest\nIcon=/opt/a/out.png")
	r.link("/opt/a/a.desktop", programs+"inside.desktop")
	r.link("../../../opt/a/a.desktop", programs+"relative.desktop")
	r.link("../../../../../../../../../../../opt/a/a.desktop", programs+"far.desktop")
	r.link(host.path+"/a.desktop", programs+"outside.desktop")
	r.link(host.path+"/a.png", "opt/a/out.png")
	r.link("loop.desktop", programs+"loop.desktop")
	r.link("/proc/self/root"+host.path+"/a.desktop", programs+"magic.desktop")
	r.link("/opt/a", "usr/local/share/applications")
	found, leftOut := r.read(FromRoot)
	for _, id := range []string{"inside", "relative", "far", "a"} {
		if got := found[id].Args; !reflect.DeepEqual(got, []string{"guest"}) || found[id].Icon != nil {
			t.Errorf("%s: %+v", id, found[id])
		}
		delete(found, id)
	}
	if len(found) > 0 {
		t.Errorf("there are more: %+v", found)
	}
	for _, want := range []string{
		`program "outside": opening "usr/share/applications/outside.desktop": no such file or directory`,
		`program "magic": opening "usr/share/applications/magic.desktop": no such file or directory`,
		`program "loop": opening "usr/share/applications/loop.desktop": too many levels of symbolic links`,
	} {
		if !strings.Contains(leftOut, want) {
			t.Errorf("no %q in\n%s", want, leftOut)
		}
	}
}

// Where somebody else may write, no symlink is followed at all.
func TestLinksInAFolder(t *testing.T) {
	r := newRoot(t)
	r.file("a.desktop", head+"Exec=a")
	r.file("b.desktop", head+"Exec=b")
	r.link("a.desktop", "link.desktop")
	r.file("icon", picture(t, 8, 8))
	r.link("icon", "b.png")
	found, leftOut := r.read(FromFolder)
	if len(found) != 2 || found["b"].Icon != nil {
		t.Errorf("%+v", found)
	}
	for _, want := range []string{`program "link": opening "link.desktop": it is not a plain file`, `icon of program "b": opening "b.png": it is not a plain file`} {
		if !strings.Contains(leftOut, want) {
			t.Errorf("no %q in\n%s", want, leftOut)
		}
	}
}

// What is no plain file is not opened: nobody writes to these FIFOs.
func TestOtherFiles(t *testing.T) {
	r := newRoot(t)
	r.fifo(programs + "fifo.desktop")
	r.link("/dev/fifo", programs+"far.desktop")
	r.fifo("dev/fifo")
	r.file(programs+"folder.desktop/x.desktop", head+"Exec=x")
	r.file(programs+"good.desktop", head+"Exec=good\nIcon=good")
	r.fifo(icons + "48x48/apps/good.png")
	r.fifo("usr/local/share/applications")
	r.file(programs+"\x1b[31m.desktop", head+"Exec=red")
	r.file(programs+"nothing.txt", head+"Exec=nothing")
	r.file(programs+"huge.desktop", head+"Exec=huge\n"+strings.Repeat("#", maxFile))
	found, leftOut := r.read(FromRoot)
	if len(found) != 1 || found["good"].Icon != nil {
		t.Errorf("%+v", found)
	}
	if got := strings.Count(leftOut, "it is not a plain file"); got != 4 {
		t.Errorf("%d of 4 in\n%s", got, leftOut)
	}
	for _, want := range []string{`programs: opening "usr/local/share/applications": it is not a folder`, `program "huge": "usr/share/applications/huge.desktop" is longer than 256 KiB`, `program "\x1b[31m": the name of its file`} {
		if !strings.Contains(leftOut, want) {
			t.Errorf("no %q in\n%s", want, leftOut)
		}
	}
	if strings.Contains(leftOut, "\x1b") {
		t.Errorf("not for a terminal: %q", leftOut)
	}
}

func TestMany(t *testing.T) {
	r := newRoot(t)
	for i := range 1100 {
		r.file(fmt.Sprintf("%sgood%04d.desktop", programs, i), head+"Exec=a")
		r.file(fmt.Sprintf("usr/local/share/applications/bad%04d.desktop", i), "")
	}
	found, leftOut := r.read(FromRoot)
	if lines := strings.Split(leftOut, "\n"); len(found) != 0 || len(lines) != maxTold+1 || lines[maxTold] != "and 982 more" {
		t.Errorf("%d programs, and it says\n%s", len(found), leftOut)
	}
	if err := os.RemoveAll(filepath.Join(r.path, "usr/local")); err != nil {
		t.Fatal(err)
	}
	found, leftOut = r.read(FromRoot)
	if len(found) != maxApps || leftOut != `programs: there are more than 200, or 1000 files; "good0200.desktop" and what follows is left out` {
		t.Errorf("%d programs, and it says\n%s", len(found), leftOut)
	}
}

// picture returns a PNG of that size.
func picture(t *testing.T, width, height int) string {
	t.Helper()
	p := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.Transparent, color.White})
	p.SetColorIndex(1, 1, 1)
	var out bytes.Buffer
	if err := png.Encode(&out, p); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestIcons(t *testing.T) {
	r := newRoot(t)
	for id, icon := range map[string]string{
		"theme": "theme", "suffix": "theme.png", "pixmap": "pixmap", "path": "/opt/path.png", "svg": "svg", "up": "../../../theme",
		"absent": "absent", "empty": "", "large": "large", "text": "text", "long": "/" + strings.Repeat("a", 5000) + ".png",
		"escape": "/\x1b.png",
	} {
		r.file(programs+id+".desktop", head+"Exec=a\nIcon="+icon)
	}
	r.file(icons+"48x48/apps/theme.png", picture(t, 48, 48))
	r.file(icons+"128x128/apps/theme.png", picture(t, 128, 100)+"what is behind it")
	r.file(icons+"scalable/apps/svg.svg", "<svg/>")
	r.file(icons+"48x48/apps/large.png", picture(t, 257, 4))
	r.file(icons+"48x48/apps/text.png", "<svg></svg>")
	r.file("usr/share/pixmaps/pixmap.png", picture(t, 16, 16))
	r.file("opt/path.png", picture(t, 20, 20))
	r.fifo("\x1b.png")
	found, leftOut := r.read(FromRoot)
	for id, width := range map[string]int{
		"theme": 128, "suffix": 128, "pixmap": 16, "path": 20, "svg": 0, "up": 0, "absent": 0, "empty": 0, "large": 0, "text": 0,
		"long": 0, "escape": 0,
	} {
		app, ok := found[id]
		header, err := png.DecodeConfig(bytes.NewReader(app.Icon))
		if !ok || header.Width != width || (err == nil) != (width > 0) {
			t.Errorf("%s: %v, %d pixels, %v", id, ok, header.Width, err)
		}
		if bytes.Contains(app.Icon, []byte("behind")) {
			t.Errorf("%s has bytes of the guest's", id)
		}
	}
	want := `icon of program "escape": opening "/\x1b.png": it is not a plain file
icon of program "large": it is 257 by 4 pixels large, and may be 256 by 256
icon of program "text": reading it as a PNG: png: invalid format: not a PNG file`
	if leftOut != want {
		t.Errorf("it says\n%s", leftOut)
	}
	// Written and read again, they are the same.
	folder := newRoot(t)
	var all []App
	for _, app := range found {
		all = append(all, app)
	}
	if err := WriteFolder(folder.path+"/apps", all); err != nil {
		t.Fatal(err)
	}
	folder.path += "/apps"
	if again, leftOut := folder.read(FromFolder); !reflect.DeepEqual(again, found) || leftOut != "" {
		t.Errorf("they are another after that; %s", leftOut)
	}
}

// Noise does not get smaller, so that a thousand icons of it are more than an image may have.
func TestIconsInSum(t *testing.T) {
	noise := image.NewNRGBA(image.Rect(0, 0, 170, 170))
	seed := uint32(1)
	for i := range noise.Pix {
		seed = seed*1664525 + 1013904223
		noise.Pix[i] = byte(seed >> 24)
	}
	var data bytes.Buffer
	if err := png.Encode(&data, noise); err != nil {
		t.Fatal(err)
	}
	r := newRoot(t)
	for i := range 80 {
		r.file(fmt.Sprintf("%02d.desktop", i), head+"Exec=a")
		r.file(fmt.Sprintf("%02d.png", i), data.String())
	}
	found, leftOut := r.read(FromFolder)
	sum := 0
	for _, app := range found {
		sum += len(app.Icon)
	}
	if len(found) != 80 || sum > maxIcons || sum < maxIcons-maxIcon || !strings.Contains(leftOut, "all icons together take more than 8 MiB") {
		t.Errorf("%d programs, %d bytes; it says\n%s", len(found), sum, leftOut)
	}
}
