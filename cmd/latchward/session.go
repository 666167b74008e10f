package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// config loads the configuration with these flags, by key of the setting.
func (s *session) config(flags map[string]string) (server.Config, error) {
	if s.cli.Data != "" {
		flags["data"] = s.cli.Data
	}
	c, err := server.Load(server.Sources{File: s.cli.Config, Environment: os.Environ(), Flags: flags})
	c.Version, c.Logs = version(), s.err
	return c, err
}

// client returns what commands talk to: a server by its address, or the data folder. --data wins over an address that
// only stands in the environment.
func (s *session) client(ctx context.Context) (client *rest.Client, close func() error, err error) {
	if s.cli.Server != "" && s.cli.Data == "" {
		client, err = rest.NewClient(s.cli.Server, rest.ClientOptions{JWT: latchward.SecretFromText(s.cli.JWT)})
		return client, func() error { return nil }, err
	}
	c, err := s.config(map[string]string{})
	if err != nil {
		return nil, nil, err
	}
	c.LogLevel = "error" // the answer is what counts; a server has its own log
	return server.OpenLocal(ctx, c)
}

// with calls f with a client.
func (s *session) with(ctx context.Context, f func(*rest.Client) error) error {
	client, close, err := s.client(ctx)
	if err != nil {
		return err
	}
	err = f(client)
	if closeErr := close(); err == nil {
		err = closeErr
	}
	return err
}

// print shows a reply of the API: as it is, or as a table.
func (s *session) print(reply any, tables ...table) error {
	if s.cli.Output == "json" {
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(reply)
	}
	for i, t := range tables {
		if i > 0 {
			t.before = "\n"
		}
		if err := t.write(s.out); err != nil {
			return err
		}
	}
	return nil
}

// ownerOf reads user:3, group:ops, or the id or e-mail of a user.
func ownerOf(ctx context.Context, client *rest.Client, text string) (rest.TokenOwner, error) {
	if group, ok := strings.CutPrefix(text, "group:"); ok {
		id, err := groupID(ctx, client, group)
		return rest.TokenOwner{Type: latchward.OwnerGroup, ID: id}, err
	}
	id, err := userID(ctx, client, strings.TrimPrefix(text, "user:"))
	return rest.TokenOwner{Type: latchward.OwnerUser, ID: id}, err
}

// groupID reads the id of a group, or finds the one with that name.
func groupID(ctx context.Context, client *rest.Client, text string) (int64, error) {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		return id, nil
	}
	for query := (rest.GroupQuery{Text: text}); ; {
		page, err := client.Groups(ctx, query)
		if err != nil {
			return 0, err
		}
		for _, group := range page.Groups {
			if group.Name == text {
				return group.ID, nil
			}
		}
		if page.NextCursor == nil {
			return 0, noneNamed("group", text)
		}
		query.Cursor = *page.NextCursor
	}
}

func noneNamed(what, name string) error {
	return latchward.Errorf(latchward.CodeNotFound,
		"there is no %s with the name %q: see latchward %s list", what, name, what)
}

// userID reads the id of a user, or finds the one with that e-mail.
func userID(ctx context.Context, client *rest.Client, text string) (int64, error) {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		return id, nil
	}
	list, err := client.Users(ctx, rest.UserQuery{Text: text})
	if err != nil {
		return 0, err
	}
	for _, user := range list.Users {
		if user.Email != nil && strings.EqualFold(*user.Email, text) {
			return user.ID, nil
		}
	}
	return 0, latchward.Errorf(latchward.CodeNotFound,
		"there is no user with the e-mail %q: see latchward user list", text)
}
