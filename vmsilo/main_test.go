package main

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"strings"
	"testing"

	"vmsilo/internal/command"
	"vmsilo/vmsilo/units"
)

// The test binary is vmsilo itself when it is told so.
func TestMain(m *testing.M) {
	if os.Getenv("BE_VMSILO") != "" {
		sockets = cmp.Or(os.Getenv("TEST_SOCKETS"), sockets)
		demandSocket = cmp.Or(os.Getenv("TEST_DEMAND"), demandSocket)
		if said, ok := os.LookupEnv("TEST_STATE"); ok {
			word, paused := strings.CutPrefix(said, "paused ")
			stateOf = func(string) units.State { return units.State{Word: word, Paused: paused} }
		}
		pause /= 20
		main()
		return
	}
	os.Exit(m.Run())
}

func TestManners(t *testing.T) {
	for _, test := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"--help", 0, "vmsilo image use NAME VERSION", ""},
		{"image --help", 0, "vmsilo image build NAME --recipe=RECIPE", ""},
		{"image build x -h", 0, "vmsilo image build NAME --recipe=RECIPE", ""},
		{"", 1, "", "vmsilo: error: which command?\nhint: there are: run, shell, console, pause, resume, balloon, resize, list, why, check, image build"},
		{"chekc", 1, "", "vmsilo: error: unknown command \"chekc\"\nhint: there are: run, shell, console, pause, resume, balloon, resize, list, why, check, image build"},
		{"image", 1, "", "hint: there are: image build, image list, image use, image remove"},
		{"image bild", 1, "", "vmsilo: error: unknown command \"bild\"\nhint: there are: image build"},
		{"image build", 1, "", "vmsilo: error: NAME is missing\nhint: see vmsilo image build --help"},
		{"run --help", 0, "--directory=DIR", ""},
		{"shell -h", 0, "vmsilo shell NAME", ""},
		{"run", 125, "", "vmsilo: error: NAME is missing\nhint: see vmsilo run --help"},
		{"run x", 125, "", "vmsilo: error: COMMAND is missing\nhint: for a shell: vmsilo shell x"},
		{"run --env=X x true", 125, "", "it is not NAME=VALUE"},
		{"run -x x true", 125, "", "flag provided but not defined: -x"},
		{"shell x y", 125, "", "\"y\" is too much"},
		{"why", 1, "", "NAME is missing"},
		{"console", 1, "", "NAME is missing"},
		{"pause", 1, "", "NAME is missing"},
		{"balloon x", 1, "", "SIZE is missing"},
		{"balloon x 1Q", 1, "", "vmsilo: error: \"1Q\" is not a size\nhint: a size is a whole number"},
		{"resize x data", 1, "", "SIZE is missing"},
		{"list x", 1, "", "\"x\" is too much"},
		{"image build x", 1, "", "vmsilo: error: --recipe is missing"},
		{"image use x", 1, "", "vmsilo: error: VERSION is missing"},
		{"image list x", 1, "", "vmsilo: error: \"x\" is too much"},
		{"image build --recpie=x y", 1, "", "flag provided but not defined: -recpie\nhint: see vmsilo image build --help"},
	} {
		cmd := exec.Command(os.Args[0], strings.Fields(test.args)...)
		cmd.Args[0] = "vmsilo"
		cmd.Env = append(os.Environ(), "BE_VMSILO=1")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		cmd.Run() // its status is looked at below
		if got := cmd.ProcessState.ExitCode(); got != test.status {
			t.Errorf("%q: status %d, want %d", test.args, got, test.status)
		}
		for got, want := range map[string]string{stdout.String(): test.stdout, stderr.String(): test.stderr} {
			if !strings.Contains(got, want) || (want == "" && got != "") {
				t.Errorf("%q: got %q, want %q", test.args, got, want)
			}
		}
	}
}

// With one subcommand of a name left, what follows is its own.
func TestFind(t *testing.T) {
	found, rest := find(subcommands(), []string{"image", "use", "image", "list"})
	if len(found) != 1 || found[0].words != "image use" || strings.Join(rest, " ") != "image list" {
		t.Errorf("got %v, %q", names(found), rest)
	}
}

func TestUnknownRecipe(t *testing.T) {
	err := imageBuild(nil, nil, []string{"x", "--recipe=no-such"})
	if err == nil || !strings.Contains(command.Text(err), `no recipe is named "no-such"`) {
		t.Error(err)
	}
}
