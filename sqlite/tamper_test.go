//go:build !race

// Nothing runs at the same time here: the race detector would only make it slow.

package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// tampered is a database with an audit log, and what its owner does to it.
type tampered struct {
	path   string
	ring   *latchward.KeyRing
	rows   int64
	anchor latchward.AuditAnchor // of the newest entry
	rand   *rand.Rand
}

func (w *tampered) service(t *testing.T, path string) (*Store, *latchward.Service) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	service, err := latchward.New(t.Context(), latchward.Options{Store: s, Keys: w.ring})
	if err != nil {
		t.Fatal(err)
	}
	return s, service
}

// newTampered makes a log in which there are people who act and are changed, one of them removed, denials, and server
// keys that came and went.
func newTampered(t *testing.T, seed uint64) *tampered {
	t.Helper()
	ring, err := latchward.GenerateKeyRing(latchtest.Seeded(1), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := &tampered{path: newPath(t), ring: ring, rand: rand.New(rand.NewPCG(seed, seed))}
	s, service := w.service(t, w.path)
	must := func(err error) {
		if t.Helper(); err != nil {
			t.Fatal(err)
		}
	}
	as := func(id int64) context.Context {
		return latchward.WithPrincipal(t.Context(), latchward.Principal{
			Type: latchward.PrincipalUser, ID: id, Name: fmt.Sprintf("person %d", id), Administrator: id < 3,
			Origin: latchward.Origin{Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(id)}), UserAgent: "curl", RequestID: "r"},
		})
	}
	for i := range 4 {
		_, err := service.CreateUser(latchtest.Local(t.Context()), latchward.NewUser{Name: fmt.Sprintf("person %d", i)})
		must(err)
	}
	for i := range 12 {
		_, err := service.CreateToken(as(int64(i%4+1)), latchward.NewToken{Name: fmt.Sprintf("token %d", i)})
		must(err)
		_ = service.DeleteRole(as(int64(i%4+1)), 2) // denied to some, a conflict to others
	}
	rotated, err := ring.Rotate(latchtest.Seeded(2), time.Now())
	must(err)
	must(service.UseKeys(as(1), rotated))
	must(service.RemoveUser(as(1), 4))
	w.ring, err = rotated.Drop(1)
	must(err)
	must(service.UseKeys(as(2), w.ring))
	_, err = service.CreateRole(as(1), latchward.NewRole{Name: "last"})
	must(err)
	w.anchor, err = service.AuditAnchor(as(1))
	must(err)
	w.rows = w.anchor.ID
	must(s.Close())
	return w
}

// bar 128: whatever the owner of the database does to the audit log, the first bad entry is named.
func TestTamperingIsNoticed(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	w := newTampered(t, seed)
	if report := w.report(t, w.path); report.Bad != nil || report.Entries != w.rows || report.Erased == 0 || report.Unproven != 0 {
		t.Fatalf("before anything was done to it: %+v, %+v", report, report.Bad)
	}
	columns := w.columns(t)
	ways := []func(t *testing.T, db *sql.DB) (what string, first int64){
		func(t *testing.T, db *sql.DB) (string, int64) { return w.edit(t, db, columns) },
		func(t *testing.T, db *sql.DB) (string, int64) { return w.edit(t, db, columns) },
		w.delete, w.truncate, w.swap, w.insert, w.forge,
	}
	mutations := 200
	for i := range mutations {
		path := filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(path, readFile(t, w.path), 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := openDatabase(path, nil, 1, writerConnection...)
		if err != nil {
			t.Fatal(err)
		}
		what, first := ways[i%len(ways)](t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		report := w.report(t, path)
		if report.Bad == nil || report.Bad.ID != first {
			t.Errorf("seed %d, mutation %d: %s: %+v, want the first bad entry to be %d", seed, i, what, report.Bad, first)
		}
	}
}

func (w *tampered) report(t *testing.T, path string) latchward.AuditReport {
	t.Helper()
	s, service := w.service(t, path)
	defer func() {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	var anchors []latchward.AuditAnchor
	if w.anchor.ID > 0 {
		anchors = append(anchors, w.anchor)
	}
	report, err := service.VerifyAudit(latchtest.Local(t.Context()), anchors)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (w *tampered) exec(t *testing.T, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.Exec(text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// row draws an entry that is not the last.
func (w *tampered) row() int64 { return 1 + w.rand.Int64N(w.rows-1) }

// columns returns the type of each column but the id.
func (w *tampered) columns(t *testing.T) map[string]string {
	t.Helper()
	db, err := openDatabase(w.path, nil, 1, readerConnection...)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT name, type FROM pragma_table_info('audit_entries')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types := map[string]string{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			t.Fatal(err)
		}
		types[name] = kind
	}
	if len(types) < 20 {
		t.Fatalf("only %d columns", len(types))
	}
	return types
}

// edit changes one cell, any of them.
func (w *tampered) edit(t *testing.T, db *sql.DB, types map[string]string) (string, int64) {
	var names []string
	for name := range types {
		names = append(names, name)
	}
	slices.Sort(names)
	name, row := names[w.rand.IntN(len(names))], w.row()
	value := map[string][]string{
		"INTEGER": {name + " + 1000"},
		"TEXT":    {`'x' || ifnull(` + name + `, '')`, `CASE WHEN ` + name + ` IS NULL THEN '{"a":1}' ELSE '' END`},
		"BLOB":    {`randomblob(32)`, `CASE WHEN ` + name + ` IS NULL THEN x'00' END`},
	}[types[name]]
	text := value[w.rand.IntN(len(value))]
	w.exec(t, db, `UPDATE audit_entries SET `+name+` = `+text+` WHERE id = ?`, row)
	return fmt.Sprintf("set %s of %d to %s", name, row, text), row
}

func (w *tampered) delete(t *testing.T, db *sql.DB) (string, int64) {
	row := 1 + w.rand.Int64N(w.rows)
	w.exec(t, db, `DELETE FROM audit_entries WHERE id = ?`, row)
	return fmt.Sprintf("delete %d", row), row
}

// truncate cuts the log, and what the database knows of its length.
func (w *tampered) truncate(t *testing.T, db *sql.DB) (string, int64) {
	row := 1 + w.rand.Int64N(w.rows)
	w.exec(t, db, `DELETE FROM audit_entries WHERE id >= ?`, row)
	w.exec(t, db, `UPDATE sqlite_sequence SET seq = ? WHERE name = 'audit_entries'`, row-1)
	return fmt.Sprintf("cut off from %d", row), row
}

func (w *tampered) swap(t *testing.T, db *sql.DB) (string, int64) {
	a := w.row()
	b := a + 1 + w.rand.Int64N(w.rows-a)
	for _, step := range [][2]int64{{a, 0}, {b, a}, {0, b}} {
		w.exec(t, db, `UPDATE audit_entries SET id = ? WHERE id = ?`, step[1], step[0])
	}
	return fmt.Sprintf("swap %d and %d", a, b), a
}

// insert puts a copy of an entry before another, and moves all the rest.
func (w *tampered) insert(t *testing.T, db *sql.DB) (string, int64) {
	row, from := w.row(), w.row()
	w.exec(t, db, `CREATE TEMP TABLE copied AS SELECT * FROM audit_entries WHERE id = ?`, from)
	w.exec(t, db, `UPDATE audit_entries SET id = -id - 1 WHERE id >= ?`, row)
	w.exec(t, db, `UPDATE audit_entries SET id = -id WHERE id < 0`)
	w.exec(t, db, `UPDATE copied SET id = ?, at = at + 1`, row)
	w.exec(t, db, `INSERT INTO audit_entries SELECT * FROM copied`)
	return fmt.Sprintf("insert a copy of %d before %d", from, row), row
}

// forge changes an entry and makes the whole chain anew, as far as that goes without the server key.
func (w *tampered) forge(t *testing.T, db *sql.DB) (string, int64) {
	row := w.row()
	w.exec(t, db, `UPDATE audit_entries SET target_id = target_id + 1 WHERE id = ?`, row)
	f := latchward.AuditFilter{After: row - 1, Oldest: true}
	text, args := auditQuery(&f)
	entries, err := collect(t.Context(), unprepared{db}, scanAudit, text, args...)
	if err != nil {
		t.Fatal(err)
	}
	var head latchward.AuditHead
	if row > 1 {
		if err := db.QueryRow(`SELECT id, hash FROM audit_entries WHERE id = ?`, row-1).Scan(&head.ID, &head.Hash); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range entries {
		seal := e.Proof.Seal
		if err := e.Chain(head, latchtest.Seeded(5)); err != nil {
			t.Fatal(err)
		}
		p := &e.Proof
		w.exec(t, db, `UPDATE audit_entries SET actor_key = ?, actor_digest = ?, target_key = ?, target_digest = ?, hash = ?,
			seal = ?, key_version = 0 WHERE id = ?`, p.ActorKey, p.ActorDigest, p.TargetKey, p.TargetDigest, p.Hash, seal, e.ID)
		head = latchward.AuditHead{ID: e.ID, Hash: p.Hash}
	}
	return fmt.Sprintf("forge from %d on", row), row
}

// bar 75, 128: what an earlier version wrote becomes the beginning of the chain, and is sealed at the first start.
func TestUpgradeToAuditChain(t *testing.T) {
	path := newPath(t)
	var rows strings.Builder
	for i := 1; i <= 1500; i++ {
		fmt.Fprintf(&rows, `INSERT INTO audit_entries (at, actor_type, actor_id, actor_name, address, action, target_type,
			target_id, target_name, after) VALUES (%d, 'user', 1, 'Ada', '192.0.2.1', 'user.create', 'user', %d, 'Bob',
			'{"name":"Bob","limit":9007199254740993,"deep":{"b":1.50,"a":null}}');`, i, i)
	}
	makeSchema(t, path, 3, rows.String())
	ring, err := latchward.GenerateKeyRing(latchtest.Seeded(1), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := &tampered{path: path, ring: ring}
	if report := w.report(t, path); report.Bad != nil || report.Entries != 1501 || report.Unproven != 0 {
		t.Fatalf("after the upgrade: %+v, %+v", report, report.Bad)
	}
	s, _ := w.service(t, path)
	entries, err := s.AuditEntries(t.Context(), latchward.AuditFilter{Oldest: true})
	if err != nil || len(entries) != 1501 || entries[0].Actor.Name != "Ada" || entries[0].After["name"] != "Bob" ||
		entries[0].Outcome != latchward.OutcomeDone || entries[1500].Action != latchward.ActionAuditSeal {
		t.Errorf("%d entries, error %v", len(entries), err)
	}
	if err := s.write(t.Context(), func(w *work) error {
		return w.exec(`UPDATE audit_entries SET target_name = 'Eve' WHERE id = 700`)
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if report := w.report(t, path); report.Bad == nil || report.Bad.ID != 700 {
		t.Errorf("an entry from before the upgrade was changed: %+v", report.Bad)
	}
}
