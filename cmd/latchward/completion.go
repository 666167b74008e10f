package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completions are scripts that ask `latchward complete` for the words that may come next.
var completions = map[string]string{
	"bash": `_latchward() {
  local IFS=$'\n'
  COMPREPLY=($(latchward complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _latchward latchward
`,
	"zsh": `#compdef latchward
_latchward() {
  local -a next
  next=("${(@f)$(latchward complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$next" ]]; then compadd -- $next; else _files; fi
}
compdef _latchward latchward
`,
	"fish": `complete -c latchward -a '(latchward complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
}

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help implements kong.HelpProvider.
func (completionCommand) Help() string {
	return `Examples:
  source <(latchward completion bash)
  latchward completion zsh > "${fpath[1]}/_latchward"
  latchward completion fish > ~/.config/fish/completions/latchward.fish`
}

func (c *completionCommand) Run(s *session) error {
	_, err := fmt.Fprint(s.out, completions[c.Shell])
	return err
}

type completeCommand struct {
	Words []string `arg:"" optional:"" help:"Words so far, the last of them unfinished."`
}

func (c *completeCommand) Run(s *session) error {
	if len(c.Words) == 0 {
		c.Words = []string{""}
	}
	for _, word := range complete(s.model.Node, c.Words) {
		if _, err := fmt.Fprintln(s.out, word); err != nil {
			return err
		}
	}
	return nil
}

// complete returns what the last of words may become.
func complete(node *kong.Node, words []string) []string {
	done, last := words[:len(words)-1], words[len(words)-1]
	var value *kong.Flag // whose value comes next
	for _, word := range done {
		switch {
		case value != nil:
			value = nil
		case strings.HasPrefix(word, "-"):
			value = flagWithValue(node, word)
		default:
			node = child(node, word)
		}
	}
	return slices.DeleteFunc(candidates(node, value, last), func(word string) bool {
		return !strings.HasPrefix(word, last)
	})
}

func candidates(node *kong.Node, value *kong.Flag, last string) (words []string) {
	switch {
	case value != nil:
		return value.EnumSlice()
	case strings.HasPrefix(last, "-"):
		for _, flag := range flagsOf(node) {
			words = append(words, "--"+flag.Name)
		}
		return words
	}
	for _, command := range node.Children {
		if !command.Hidden {
			words = append(words, command.Name)
		}
	}
	for _, argument := range node.Positional {
		words = append(words, argument.EnumSlice()...)
	}
	return words
}

func child(node *kong.Node, name string) *kong.Node {
	for _, command := range node.Children {
		if command.Name == name {
			return command
		}
	}
	return node
}

// flagWithValue returns the flag that word names, if the next word is its value.
func flagWithValue(node *kong.Node, word string) *kong.Flag {
	for _, flag := range flagsOf(node) {
		if (word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short)) && !flag.IsBool() {
			return flag
		}
	}
	return nil
}

func flagsOf(node *kong.Node) []*kong.Flag { return slices.Concat(node.AllFlags(true)...) }
