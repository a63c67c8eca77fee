# zsh -f completes.zsh LINE prints what zsh offers for the line, a word a line. The line is typed in a zsh of its own,
# which sources this file without a line: there, compadd tells what it is given.
if [[ -z $1 ]]; then
  fpath=($PWD/completions $fpath)
  autoload -U compinit
  compinit -u -D
  compadd() {
    # Those that only look for matches keep what they find.
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
      local -a hits
      builtin compadd -A hits "$@"
      print -l "hit:"$^hits
    fi
    builtin compadd "$@"
  }
  offer() {
    zle list-choices
    print offered-1
  }
  zle -N offer
  bindkey '^X' offer
  # Only a line editor that has begun takes keys one by one.
  zle-line-init() { print ready-1 }
  zle -N zle-line-init
  LISTMAX=1000
  return
fi
zmodload zsh/zpty
zpty inner 'PS1= TERM=dumb zsh -f -i'
zpty -w inner 'source tests/lib/completes.zsh'
while zpty -r inner line && [[ $line != *ready-1* ]]; do; done
zpty -w -n inner "$1"$'\030'
while zpty -r inner line && [[ $line != *offered-1* ]]; do
  line=${line%$'\r\n'}
  [[ $line != *hit:* ]] || print -r -- ${line##*hit:}
done
