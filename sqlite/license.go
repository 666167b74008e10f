package sqlite

import (
	"context"
	"database/sql"

	"github.com/latchward/latchward"
)

const (
	selectLicenses = `SELECT id, name, title, description, max_seats, valid_from, valid_until, created_at, updated_at
		FROM licenses `
	licenseByID   = selectLicenses + `WHERE id = ?`
	licenseByName = selectLicenses + `WHERE name = ?`
	allLicenses   = selectLicenses + `ORDER BY id`

	licenseNameTaken = `SELECT EXISTS (SELECT 1 FROM licenses WHERE name = ? AND id <> ?)`
	insertLicense    = `INSERT INTO licenses (name, title, description, max_seats, valid_from, valid_until, created_at,
			updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	updateLicense = `UPDATE licenses SET name = ?, title = ?, description = ?, max_seats = ?, valid_from = ?,
			valid_until = ?, created_at = ?, updated_at = ?
		WHERE id = ?`

	// Only who is there and in use takes a seat.
	takesSeat = `CASE h.holder_type
			WHEN 'user' THEN EXISTS (SELECT 1 FROM users u WHERE u.id = h.holder_id AND u.removed_at IS NULL)
			ELSE EXISTS (SELECT 1 FROM api_tokens t WHERE t.id = h.holder_id AND t.revoked_at IS NULL) END`
	seatsOfLicense = `SELECT count(*) FROM holdings h WHERE h.kind = 'license' AND h.held_id = ? AND ` + takesSeat
	allSeats       = `SELECT h.held_id, count(*) FROM holdings h WHERE h.kind = 'license' AND ` + takesSeat + `
		GROUP BY h.held_id`
)

func scanLicense(rows *sql.Rows) (*latchward.License, error) {
	var l latchward.License
	err := rows.Scan(&l.ID, &l.Name, textColumn{&l.Title}, textColumn{&l.Description}, &l.MaxSeats,
		timeColumn{&l.ValidFrom}, timeColumn{&l.ValidUntil}, timeColumn{&l.CreatedAt}, timeColumn{&l.UpdatedAt})
	if err != nil {
		return nil, unreadable("license", err)
	}
	return &l, nil
}

// License implements [latchward.Store].
func (s *Store) License(ctx context.Context, id latchward.LicenseID) (*latchward.License, error) {
	l, err := record(ctx, s.reads, "license", scanLicense, licenseByID, id)
	return l, s.translate(err)
}

// Licenses implements [latchward.Store].
func (s *Store) Licenses(ctx context.Context) ([]*latchward.License, error) {
	licenses, err := collect(ctx, s.reads, scanLicense, allLicenses)
	return licenses, s.translate(err)
}

// Seats implements [latchward.Store].
func (s *Store) Seats(ctx context.Context) (map[latchward.LicenseID]int64, error) {
	seats := map[latchward.LicenseID]int64{}
	_, err := collect(ctx, s.reads, func(rows *sql.Rows) (none struct{}, err error) {
		var id latchward.LicenseID
		var taken int64
		err = rows.Scan(&id, &taken)
		seats[id] = taken
		return none, err
	}, allSeats)
	return seats, s.translate(err)
}

// License implements [latchward.Tx].
func (tx *transaction) License(id latchward.LicenseID) (*latchward.License, error) {
	return record(tx.ctx, tx, "license", scanLicense, licenseByID, id)
}

// LicenseByName implements [latchward.Tx].
func (tx *transaction) LicenseByName(name string) (*latchward.License, error) {
	return record(tx.ctx, tx, "license", scanLicense, licenseByName, name)
}

// Seats implements [latchward.Tx].
func (tx *transaction) Seats(id latchward.LicenseID) (int64, error) {
	return one(tx.ctx, tx, scalar[int64], seatsOfLicense, id)
}

// SaveLicense implements [latchward.Tx].
func (tx *transaction) SaveLicense(l *latchward.License) error {
	if err := tx.checkName("license", licenseNameTaken, l.Name, int64(l.ID)); err != nil {
		return err
	}
	args := []any{
		l.Name, textOrNull(l.Title), textOrNull(l.Description), l.MaxSeats, millisOrNull(l.ValidFrom),
		millisOrNull(l.ValidUntil), l.CreatedAt.UnixMilli(), l.UpdatedAt.UnixMilli(),
	}
	id, err := tx.save("license", int64(l.ID), insertLicense, updateLicense, args)
	if err != nil {
		return err
	}
	l.ID = latchward.LicenseID(id)
	tx.change(latchward.ChangeLicense, decimal(id))
	return nil
}

// DeleteLicense implements [latchward.Tx].
func (tx *transaction) DeleteLicense(id latchward.LicenseID) error {
	if err := tx.drop("license", `DELETE FROM licenses WHERE id = ?`, id); err != nil {
		return err
	}
	tx.change(latchward.ChangeLicense, decimal(id))
	return tx.exec(dropHolders, "license", id)
}
