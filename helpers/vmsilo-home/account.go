package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"vmsilo/internal/accounts"
	"vmsilo/internal/command"
)

// account is a user's numbers.
type account struct{ uid, gid int }

// lookUp finds a user by name or uid.
func lookUp(user string) (account, error) {
	uid, gid, err := accounts.User(user)
	if errors.Is(err, accounts.ErrUnknown) {
		return account{}, command.Errorf(`set "user" in /etc/vmsilo/vmsilo.toml or in the VM's file`, "no user has the name or uid %q", user)
	}
	return account{uid, gid}, err
}

// either runs f with the account's rights on files and, where these do not reach, with root's: this process may do
// everything to root's own files, and nothing more to anybody else's.
func (a account) either(f func() error) error {
	if err := a.do(f); !errors.Is(err, unix.EACCES) {
		return err
	}
	return f()
}

// do runs f with the account's rights on files. They are a thread's, which the caller has locked: setfsuid(2).
func (a account) do(f func() error) error {
	if err := errors.Join(unix.Setfsgid(a.gid), unix.Setfsuid(a.uid)); err != nil {
		return err
	}
	return errors.Join(f(), unix.Setfsuid(0), unix.Setfsgid(0))
}
