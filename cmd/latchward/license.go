package main

import (
	"context"

	"github.com/latchward/latchward/rest"
)

type licenseCommands struct {
	List   licenseList   `cmd:"" help:"List licenses with their seats."`
	Show   licenseShow   `cmd:"" help:"Show a license."`
	Create licenseCreate `cmd:"" help:"Make a license."`
	Update licenseUpdate `cmd:"" help:"Change a license, for everybody who has a seat; what is not named stays."`
	Delete licenseDelete `cmd:"" help:"Take a license from everybody who has a seat."`
}

type licenseList struct{}

func (c *licenseList) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error {
		reply, err := client.Licenses(ctx)
		if err != nil {
			return err
		}
		return s.print(reply, licenseTable(reply.Licenses))
	})
}

func licenseTable(licenses []rest.License) table {
	t := table{header: []string{"ID", "NAME", "TITLE", "SEATS TAKEN", "SEATS", "VALID", "FROM", "UNTIL"}}
	for _, l := range licenses {
		seats := "unlimited"
		if l.MaxSeats > 0 {
			seats = number(l.MaxSeats)
		}
		t.add(number(l.ID), l.Name, optional(l.Title), number(l.SeatsTaken), seats, yes(l.Valid),
			moment(l.ValidFrom, "-"), moment(l.ValidUntil, "-"))
	}
	return t
}

// license shows the reply of a call about one license.
func (s *session) license(reply rest.LicenseReply, err error) error {
	if err != nil {
		return err
	}
	return s.print(reply, licenseTable([]rest.License{reply.License}))
}

// onLicense calls f with the id of a license given by name or id.
func (s *session) onLicense(ctx context.Context, license string, f func(*rest.Client, int64) error) error {
	return s.with(ctx, func(client *rest.Client) error {
		id, err := idOf(license, "license", func() ([]named, error) {
			reply, err := client.Licenses(ctx)
			return namedOf(reply.Licenses, func(l rest.License) named { return named{l.ID, l.Name} }), err
		})
		if err != nil {
			return err
		}
		return f(client, id)
	})
}

type licenseShow struct {
	License string `arg:"" help:"Name or id of the license."`
}

func (c *licenseShow) Run(ctx context.Context, s *session) error {
	return s.onLicense(ctx, c.License, func(client *rest.Client, id int64) error {
		return s.license(client.License(ctx, id))
	})
}

// licenseFields are what making and changing a license have in common.
type licenseFields struct {
	Title       *string  `help:"Name for people to read." placeholder:"TEXT"`
	Description *string  `help:"What it is for." placeholder:"TEXT"`
	Seats       *int64   `help:"How many users and service tokens may have it; 0 for no limit." placeholder:"N"`
	From        *moments `help:"Date or time from which on it is valid." placeholder:"WHEN"`
	Until       *moments `help:"Date or time from which on it is no longer valid." placeholder:"WHEN"`
}

func (f *licenseFields) change() rest.LicenseChange {
	var c rest.LicenseChange
	given(&c.Title, f.Title)
	given(&c.Description, f.Description)
	given(&c.MaxSeats, f.Seats)
	if f.From != nil {
		c.ValidFrom = rest.Some(f.From.Time)
	}
	if f.Until != nil {
		c.ValidUntil = rest.Some(f.Until.Time)
	}
	return c
}

type licenseCreate struct {
	Name string `arg:"" help:"Name by which programs ask for it, such as pro."`
	licenseFields
}

func (c *licenseCreate) Run(ctx context.Context, s *session) error {
	change := c.change()
	asked := rest.NewLicense{
		Name: c.Name, Title: change.Title, Description: change.Description, MaxSeats: change.MaxSeats,
		ValidFrom: change.ValidFrom, ValidUntil: change.ValidUntil,
	}
	return s.with(ctx, func(client *rest.Client) error { return s.license(client.CreateLicense(ctx, asked)) })
}

type licenseUpdate struct {
	License string  `arg:"" help:"Name or id of the license."`
	Name    *string `help:"New name." placeholder:"NAME"`
	licenseFields
	NoUntil bool `help:"It stays valid."`
}

func (c *licenseUpdate) Run(ctx context.Context, s *session) error {
	change := c.change()
	change.Name = c.Name
	if c.NoUntil {
		change.ValidUntil = rest.Null[rest.Time]()
	}
	return s.onLicense(ctx, c.License, func(client *rest.Client, id int64) error {
		return s.license(client.UpdateLicense(ctx, id, change))
	})
}

type licenseDelete struct {
	License string `arg:"" help:"Name or id of the license."`
}

func (c *licenseDelete) Run(ctx context.Context, s *session) error {
	return s.onLicense(ctx, c.License, func(client *rest.Client, id int64) error {
		return s.said(client.DeleteLicense(ctx, id))
	})
}
