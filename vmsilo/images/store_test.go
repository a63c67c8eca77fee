package images

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vmsilo/internal/apps"
	"vmsilo/internal/command"
)

// add makes a version of an image, or with an empty version a plain folder, whose files all hold content.
func add(t *testing.T, s Store, name, version, content string) {
	t.Helper()
	folder := s.path(name)
	if version != "" {
		folder = s.path("."+name, version)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if err := os.WriteFile(filepath.Join(folder, part), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, s Store, name string) string {
	t.Helper()
	data, err := os.ReadFile(s.path(name, "root.erofs"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// refused fails the test unless err says want, in itself or in its hint.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(command.Text(err), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestUse(t *testing.T) {
	s := Store(t.TempDir())
	add(t, s, "a", "1-x", "one")
	add(t, s, "a", "2-y", "two")
	for _, version := range []string{"2-y", "1-x", "1-x"} {
		if err := s.Use("a", version); err != nil {
			t.Fatal(err)
		}
		if got := s.current("a"); got != version {
			t.Errorf("got %q, want %q", got, version)
		}
	}
	refused(t, s.Use("a", "3-z"), "there are: 1-x, 2-y")
	refused(t, s.Use("b", "1-x"), "there are: a")
	if err := os.Remove(s.path(".a", "2-y", "initrd")); err != nil {
		t.Fatal(err)
	}
	refused(t, s.Use("a", "2-y"), "is not whole")
	if got := read(t, s, "a"); got != "one" {
		t.Errorf("the image holds %q", got)
	}
}

// A switch must never leave a moment without the image.
func TestUseIsAtomic(t *testing.T) {
	s := Store(t.TempDir())
	add(t, s, "a", "", "zero")
	add(t, s, "a", "1-x", "one")
	add(t, s, "a", "2-y", "two")
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := os.ReadFile(s.path("a", "root.erofs")); err != nil {
				done <- err
				return
			}
		}
	}()
	for range 200 {
		for _, version := range []string{"1-x", "2-y"} {
			if err := s.Use("a", version); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAdopt(t *testing.T) {
	s := Store(t.TempDir())
	add(t, s, "a", "", "zero")
	add(t, s, "a", "9-x", "one")
	if err := s.Use("a", "9-x"); err != nil {
		t.Fatal(err)
	}
	image, err := s.image("a")
	if err != nil || image.Plain != nil || len(image.Versions) != 2 || !image.Versions[1].Current {
		t.Fatalf("%+v, %v", image, err)
	}
	if err := s.Use("a", image.Versions[0].Name); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "a"); got != "zero" {
		t.Errorf("the former folder holds %q", got)
	}
}

func TestForeignLink(t *testing.T) {
	s := Store(t.TempDir())
	add(t, s, "a", "1-x", "one")
	if err := os.Symlink("/nowhere", s.path("a")); err != nil {
		t.Fatal(err)
	}
	refused(t, s.Use("a", "1-x"), "neither a folder nor a link to a version")
}

// What is no image is not taken for one, and a version that cannot become current is not kept.
func TestFolderThatIsNoImage(t *testing.T) {
	s := Store(t.TempDir())
	work, err := s.begin("a")
	if err != nil {
		t.Fatal(err)
	}
	add(t, Store(work.Name()), "image", "", "one")
	if err := os.Mkdir(s.path("a"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = s.Build(t.Context(), "a", nil, nil)
	refused(t, err, "is a folder, and no image")
	_, _, err = s.publish(t.Context(), "a", filepath.Join(work.Name(), "image"))
	refused(t, err, "is a folder, and no image")
	if err := s.end("a", work); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(s.path(".a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is kept: %v", err)
	}
}

func TestRemove(t *testing.T) {
	s := Store(t.TempDir())
	for _, version := range []string{"1-x", "2-y"} {
		add(t, s, "a", version, version)
	}
	if err := s.Use("a", "2-y"); err != nil {
		t.Fatal(err)
	}
	refused(t, s.Remove("a", "2-y"), "is the current one")
	refused(t, s.Remove("a", "../a/2-y"), "has no version")
	file, err := os.Open(s.path(".a", "1-x", "root.erofs"))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, s.Remove("a", "1-x"), "is in use by process")
	file.Close()
	if err := s.Remove("a", "1-x"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(s.path(".a", "1-x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
	if got := read(t, s, "a"); got != "2-y" {
		t.Errorf("the image holds %q", got)
	}
}

// A build's folder is swept when nobody holds it, and never while somebody does.
func TestBeginAndEnd(t *testing.T) {
	s := Store(t.TempDir())
	first, err := s.begin("a")
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.begin("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.Name()); err != nil {
		t.Errorf("the second build swept away the first: %v", err)
	}
	first.Close()
	third, err := s.begin("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of a build that is gone is still there: %v", err)
	}
	for _, work := range []*os.File{second, third} {
		if err := s.end("a", work); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(string(s)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// The same files again are no new version.
func TestPublish(t *testing.T) {
	s := Store(t.TempDir())
	var versions []string
	for _, content := range []string{"one", "two", "one"} {
		work, err := s.begin("a")
		if err != nil {
			t.Fatal(err)
		}
		add(t, Store(work.Name()), "image", "", content)
		version, fresh, err := s.publish(t.Context(), "a", filepath.Join(work.Name(), "image"))
		if err != nil || fresh != (len(versions) < 2) {
			t.Fatalf("%q: fresh is %v, %v", content, fresh, err)
		}
		if err := s.end("a", work); err != nil {
			t.Fatal(err)
		}
		if got := read(t, s, "a"); got != content {
			t.Errorf("the image holds %q, want %q", got, content)
		}
		versions = append(versions, version)
	}
	if versions[0] != versions[2] || versions[0] == versions[1] {
		t.Errorf("got %q", versions)
	}
}

// What an older vmsilo has not read of the same files comes with them, and goes with the version.
func TestPublishPrograms(t *testing.T) {
	s := Store(t.TempDir())
	for _, program := range []string{"", "firefox", "gimp"} {
		work, err := s.begin("a")
		if err != nil {
			t.Fatal(err)
		}
		add(t, Store(work.Name()), "image", "", "one")
		if program != "" {
			found := []apps.App{{ID: program, Name: program, Args: []string{program}}}
			if err := apps.WriteFolder(filepath.Join(work.Name(), "image", appsFolder), found); err != nil {
				t.Fatal(err)
			}
		}
		version, fresh, err := s.publish(t.Context(), "a", filepath.Join(work.Name(), "image"))
		if err != nil || fresh != (program == "") {
			t.Fatalf("fresh is %v, %v", fresh, err)
		}
		if err := s.end("a", work); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(s.path(".a", version, appsFolder))
		if program == "" && !errors.Is(err, os.ErrNotExist) || program != "" && (len(entries) != 1 || entries[0].Name() != program+".desktop") {
			t.Errorf("%q: there are %v, %v", program, entries, err)
		}
	}
}
