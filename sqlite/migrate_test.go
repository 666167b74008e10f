package sqlite

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// bar 67
func TestVersionsOfSQLite(t *testing.T) {
	for version, good := range map[string]bool{
		"3.51.3": true, "3.51.4": true, "3.52.1": true, "3.53.0": true, "3.60.1": true, "4.0.0": true, "3.53": true,
		"3.51.2": false, "3.52.0": false, "3.40.1": false, "2.99.99": false, "3.9.10": false, "3.51": false,
		"": false, "new": false, "3.53.x": false, "3.53.1.1": false,
	} {
		if err := checkVersion(version); (err == nil) != good {
			t.Errorf("version %q: %v, want it to be usable: %v", version, err, good)
		}
	}
}

func TestVersionInUse(t *testing.T) {
	s := open(t, newPath(t), Options{})
	version, err := one(t.Context(), s.reads, scalar[string], `SELECT sqlite_version()`)
	if err != nil || checkVersion(version) != nil {
		t.Errorf("SQLite %s, error %v", version, err)
	}
}

func TestSettings(t *testing.T) {
	s := open(t, newPath(t), Options{})
	conn, err := s.readers.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for pragma, want := range map[string][2]int{ // of the writer, of readers
		"synchronous": {2, 2}, "foreign_keys": {1, 1}, "query_only": {0, 1}, "trusted_schema": {0, 0},
		"cell_size_check": {1, 1}, "fullfsync": {1, 0}, "checkpoint_fullfsync": {1, 0}, "temp_store": {2, 2},
		"busy_timeout": {5000, 5000},
	} {
		var writer, reader int
		if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&writer); err != nil {
			t.Fatal(err)
		}
		if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&reader); err != nil {
			t.Fatal(err)
		}
		if got := [2]int{writer, reader}; got != want {
			t.Errorf("%s is %v on the writer and a reader, want %v", pragma, got, want)
		}
	}
	var mode string
	if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("the journal mode is %q, error %v, want wal", mode, err)
	}
	if _, err := conn.ExecContext(t.Context(), `DELETE FROM users`); err == nil {
		t.Errorf("a reader could write")
	}
}

// S2-35, S2-36: the names that the source gives to tables and columns.
func TestTableAndColumnNames(t *testing.T) {
	s := open(t, newPath(t), Options{})
	for table, names := range map[string]string{
		"api_tokens": "id name token description user_id active rate_limit allowed_endpoints expires_at last_used_at " +
			"created_at updated_at key_id kind",
		"api_token_usage": "id token_id endpoint method status_code response_time_ms request_size response_size ip_address " +
			"user_agent created_at",
		"api_token_secrets": "key_id token_id digest ends_at used_up_at",
	} {
		columns, err := collect(t.Context(), s.reads, scalar[string], `SELECT name FROM pragma_table_info(?)`, table)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(names) {
			if !slices.Contains(columns, name) {
				t.Errorf("table %s has no column %s", table, name)
			}
		}
	}
	cascade, err := one(t.Context(), s.reads, scalar[string], `SELECT "table" || ' ' || on_delete
		FROM pragma_foreign_key_list('api_token_usage') WHERE "from" = 'token_id'`)
	if err != nil || cascade != "api_tokens CASCADE" {
		t.Errorf("api_token_usage.token_id refers to %q, error %v, want api_tokens CASCADE", cascade, err)
	}
}

func TestSchema(t *testing.T) {
	path := newPath(t)
	before, err := Schema(t.Context(), path)
	if err != nil || before.Current != 0 || len(before.Pending) == 0 || before.Latest < 1 {
		t.Errorf("before: %+v, error %v, want everything pending", before, err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Errorf("asking for the schema made a database")
	}
	if err := open(t, path, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	after, err := Schema(t.Context(), path)
	if err != nil || after.Current != before.Latest || after.Latest != before.Latest || len(after.Pending) != 0 {
		t.Errorf("after: %+v, error %v, want nothing pending", after, err)
	}
}

// bar 75: an old program on a new schema refuses with a plain message, and changes nothing.
func TestNewerSchemaIsRefused(t *testing.T) {
	path := newPath(t)
	s := open(t, path, Options{})
	err := s.write(t.Context(), func(w *work) error {
		return w.exec(`INSERT INTO schema_version (version_id, is_applied) VALUES (999, 1)`)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := readFile(t, path)
	newer, err := Open(t.Context(), path, Options{})
	message := latchward.ErrorMessage(err)
	if newer != nil || latchward.ErrorCode(err) != latchward.CodeConflict || !strings.Contains(message, "newer version") {
		t.Errorf("Open returned %v, want a conflict that tells of a newer version", err)
	}
	if !slices.Equal(before, readFile(t, path)) {
		t.Errorf("the file was changed")
	}
	status, err := Schema(t.Context(), path)
	if err != nil || status.Current != 999 {
		t.Errorf("Schema returned %+v, error %v, want 999", status, err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	path := newPath(t)
	db, err := openDatabase(path, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE bookmarks (url TEXT)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), path, Options{}); s != nil || latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("Open returned %v, want a conflict", err)
	}
	if _, err := Schema(t.Context(), path); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("Schema returned %v, want a conflict", err)
	}
}

func TestNoDatabaseIsRefused(t *testing.T) {
	path := newPath(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database. ", 500)), privateFile); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), path, Options{}); s != nil || latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("Open returned %v, want code unavailable", err)
	}
}

// C-06: everything is there after a restart, and positions go on in the same history.
func TestReopen(t *testing.T) {
	path := newPath(t)
	s := open(t, path, Options{})
	token := addToken(t, s, addUser(t, s), 1)
	before, err := s.Tx(t.Context(), func(tx latchward.Tx) error { return tx.SaveToken(token) })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, Options{})
	same, err := s.Tx(t.Context(), func(latchward.Tx) error { return nil })
	if err != nil || same.Position != before.Position {
		t.Errorf("position %v after a restart, error %v, want %v", same.Position, err, before.Position)
	}
	later, err := s.Tx(t.Context(), func(tx latchward.Tx) error { return tx.DeleteToken(token.ID) })
	if err != nil || later.Position.History != before.Position.History || later.Position.N <= before.Position.N {
		t.Errorf("position %v after a restart and a change, error %v, want it behind %v",
			later.Position, err, before.Position)
	}
}

// TestClosedDatabaseIsOneFile makes sure that a copy of the file is a copy of the database once it was closed.
func TestClosedDatabaseIsOneFile(t *testing.T) {
	path := newPath(t)
	s := open(t, path, Options{})
	addToken(t, s, addUser(t, s), 1)
	if _, err := s.Tokens(context.Background(), latchward.TokenFilter{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); err == nil {
			t.Errorf("%s is left", suffix)
		}
	}
}
