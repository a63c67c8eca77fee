package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"text/tabwriter"

	"golang.org/x/sys/unix"
	"vmsilo/internal/command"
	"vmsilo/internal/paths"
	"vmsilo/vmsilo/images"
	"vmsilo/vmsilo/recipe"
)

const store = images.Store(paths.Images)

func imageBuild(stdout, stderr io.Writer, args []string) error {
	flags := flag.NewFlagSet("image build", flag.ContinueOnError)
	name := flags.String("recipe", "", "the recipe's name or path")
	operands, err := parse(flags, args, "NAME")
	if err != nil {
		return err
	}
	if *name == "" {
		return command.Errorf("for example --recipe=debian-13", "--recipe is missing")
	}
	r, err := recipe.Load(paths.Recipes, *name)
	if err != nil {
		return err
	}
	if err := errors.Join(needRoot(), needPrograms()); err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), heeded(unix.SIGINT, unix.SIGTERM, unix.SIGHUP)...)
	defer cancel()
	unix.Umask(0o022)
	p := newProgress(stderr)
	built, err := store.Build(ctx, operands[0], r, p.say)
	p.end()
	if err != nil {
		return fmt.Errorf("building image %q: %w", operands[0], err)
	}
	for _, line := range built.LeftOut {
		fmt.Fprintln(stderr, "vmsilo: left out of the menus:", line)
	}
	if !built.Fresh {
		fmt.Fprintf(stdout, "nothing is new: image %q is its version %s\n", operands[0], built.Version)
		return nil
	}
	fmt.Fprintf(stdout, "image %q is now %s, made in %d s; VMs have it from their next start on\n", operands[0], built.Version, p.seconds())
	return nil
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return command.Errorf("run it with sudo", "only root changes images")
	}
	return nil
}

func needPrograms() error {
	for _, program := range []string{"mmdebstrap", "mkfs.erofs"} {
		if _, err := exec.LookPath(program); err != nil {
			return command.Errorf("on Debian: apt install mmdebstrap erofs-utils", "%s is not installed", program)
		}
	}
	return nil
}

func imageList(stdout, _ io.Writer, args []string) error {
	if _, err := parse(flag.NewFlagSet("image list", flag.ContinueOnError), args); err != nil {
		return err
	}
	list, err := store.List()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "IMAGE\tVERSION\tSIZE\tCURRENT")
	for _, image := range list {
		versions := image.Versions
		if image.Plain != nil {
			versions = append(versions, *image.Plain)
		}
		for _, v := range versions {
			current := ""
			if v.Current {
				current = "yes"
			}
			fmt.Fprintf(table, "%s\t%s\t%d MiB\t%s\n", image.Name, cmp.Or(v.Name, "(a plain folder)"), v.Size>>20, current)
		}
	}
	return table.Flush()
}

func imageUse(_, _ io.Writer, args []string) error {
	return change("image use", args, store.Use)
}

func imageRemove(_, _ io.Writer, args []string) error {
	return change("image remove", args, store.Remove)
}

// change does something to one version of an image.
func change(words string, args []string, do func(name, version string) error) error {
	operands, err := parse(flag.NewFlagSet(words, flag.ContinueOnError), args, "NAME", "VERSION")
	if err != nil {
		return err
	}
	if err := needRoot(); err != nil {
		return err
	}
	return do(operands[0], operands[1])
}
