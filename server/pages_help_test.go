package server_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// do sends a request and reads the answer.
func do(t *testing.T, client *http.Client, r *http.Request) answer {
	t.Helper()
	response, err := client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text), err, response.Close}
}

// localClient acts as the local administrator, through the socket.
func (r *running) localClient(t *testing.T) *rest.Client {
	t.Helper()
	client, closeClient, err := server.OpenLocal(t.Context(), r.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeClient() })
	return client
}

func addAdministrator(t *testing.T, r *running, email string) int64 {
	t.Helper()
	reply, err := r.localClient(t).CreateUser(t.Context(), rest.NewUser{Email: rest.Some(email), Administrator: true})
	if err != nil {
		t.Fatal(err)
	}
	return reply.User.ID
}

func userChange(active *bool) rest.UserChange { return rest.UserChange{Active: active} }

// contents returns a digest of all that the database holds, table by table, but for when it was last written to.
func (r *running) contents(t *testing.T) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(r.config.Data, "latchward.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text strings.Builder
	for _, table := range column(t, db, `SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`) {
		if table == "instance" || strings.HasPrefix(table, "sqlite_") {
			continue
		}
		rows := column(t, db, fmt.Sprintf(`SELECT quote(json_array(%s)) FROM %q`,
			strings.Join(column(t, db, `SELECT 'quote("' || name || '")' FROM pragma_table_info('`+table+`')`), ", "), table))
		fmt.Fprintf(&text, "%s %d %x\n", table, len(rows), sha256.Sum256([]byte(strings.Join(rows, "\n"))))
	}
	return text.String()
}

func column(t *testing.T, db *sql.DB, query string) (list []string) {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func secretOf(text string) latchward.Secret { return latchward.SecretFromText(text) }

func emailChange(email string) rest.UserChange { return rest.UserChange{Email: rest.Some(email)} }

func removeUser(t *testing.T, r *running, id int64) error {
	t.Helper()
	_, err := r.localClient(t).RemoveUser(t.Context(), id)
	return err
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
