package latchtest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// savesWrongAccount alters every account on the way into the store.
func savesWrongAccount(edit func(a *latchward.Account)) func(a *altered) {
	return func(a *altered) {
		a.inTx = func(tx *alteredTx) {
			tx.saveAccount = func(account *latchward.Account) error {
				wrong := account.Clone()
				edit(wrong)
				return tx.Tx.SaveAccount(wrong)
			}
		}
	}
}

func (a *altered) allAccounts() ([]*latchward.Account, error) {
	return a.Store.Accounts(background(), 0, latchward.MaxPage)
}

func accountMutants() []mutant {
	nobody := latchward.Errorf(latchward.CodeNotFound, "nobody")
	const keeps = "Account/KeepsEveryField Account/ReturnsACopy Accounts/ReturnsWholeAccountsByUser " +
		"AccountByIdentity/FindsExactlyThisOne Tx.Account/ReturnsACopy Tx.SaveAccount/IsUndone"
	return []mutant{
		{keeps, "forgets recovery codes", savesWrongAccount(func(a *latchward.Account) { a.RecoveryCodes = nil })},
		{keeps, "forgets devices", savesWrongAccount(func(a *latchward.Account) { a.Devices = nil })},
		{keeps, "forgets codes", savesWrongAccount(func(a *latchward.Account) { a.PasswordCode = latchward.PasswordCode{} })},
		{keeps, "sorts identities", savesWrongAccount(func(a *latchward.Account) {
			slices.SortFunc(a.Identities, func(a, b latchward.LinkedIdentity) int { return strings.Compare(a.Issuer, b.Issuer) })
		})},
		{keeps, "cuts times", savesWrongAccount(func(a *latchward.Account) { a.UpdatedAt = a.UpdatedAt.Truncate(time.Second) })},
		{keeps, "cuts large numbers", savesWrongAccount(func(a *latchward.Account) { a.TOTPStep = int64(int32(a.TOTPStep)) })},
		{"Account/KeepsEveryField", "forgets sealed secrets", savesWrongAccount(func(a *latchward.Account) { a.TOTP = "" })},
		{"Account/KeepsEveryField", "forgets new secrets", savesWrongAccount(func(a *latchward.Account) { a.NewTOTP = "" })},
		{"Account/ReturnsACopy", "hands out what it keeps", func(a *altered) { a.account = remember(a.Store.Account) }},
		{"Account/UnknownIsNotFound", "finds nothing and calls it success",
			func(a *altered) { a.account = found(a.Store.Account) }},
		{"Accounts/ReturnsWholeAccountsByUser Accounts/PagesGiveEachAccountOnce", "lists accounts backwards",
			func(a *altered) {
				a.accounts = func(after latchward.UserID, limit int) ([]*latchward.Account, error) {
					list, err := a.Store.Accounts(background(), after, limit)
					slices.Reverse(list)
					return list, err
				}
			}},
		{"Accounts/PagesGiveEachAccountOnce", "ignores the limit of accounts", func(a *altered) {
			a.accounts = func(after latchward.UserID, _ int) ([]*latchward.Account, error) {
				return a.Store.Accounts(background(), after, latchward.MaxPage)
			}
		}},
		{"Accounts/PagesGiveEachAccountOnce", "begins behind the next account", func(a *altered) {
			a.accounts = func(after latchward.UserID, limit int) ([]*latchward.Account, error) {
				return a.Store.Accounts(background(), after+2, limit)
			}
		}},
		{"AccountByIdentity/FindsExactlyThisOne AccountByIdentity/UnknownIsNotFound", "looks at subjects only",
			func(a *altered) {
				a.accountByIdentity = func(id latchward.LinkedIdentity) (*latchward.Account, error) {
					list, err := a.allAccounts()
					for _, account := range slices.Backward(list) {
						for _, has := range account.Identities {
							if has.Subject == id.Subject {
								return account, err
							}
						}
					}
					return nil, nobody
				}
			}},
		{"AccountByIdentity/ForgetsRemovedIdentities", "keeps identities that were removed", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveAccount = func(account *latchward.Account) error {
					wrong := account.Clone()
					if before, err := tx.Tx.Account(account.UserID); err == nil {
						wrong.Identities = before.Identities
					}
					return tx.Tx.SaveAccount(wrong)
				}
			}
		}},
		{"AccountByIdentity/UnknownIsNotFound", "finds nothing and calls it success",
			func(a *altered) { a.accountByIdentity = found(a.Store.AccountByIdentity) }},
		{"Tx.Account/ReturnsACopy", "hands out what it keeps in transactions", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.account = remember(func(_ context.Context, id latchward.UserID) (*latchward.Account, error) {
					return tx.Tx.Account(id)
				})
			}
		}},
		{"Tx.Account/UnknownIsNotFound", "finds nothing in transactions and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.account = found(func(_ context.Context, id latchward.UserID) (*latchward.Account, error) {
					return tx.Tx.Account(id)
				})
			}
		}},
		{"Tx.SaveAccount/ReplacesEveryField", "keeps an old password when there is no new one", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveAccount = func(account *latchward.Account) error {
					wrong := account.Clone()
					if before, err := tx.Tx.Account(account.UserID); err == nil && wrong.Password == "" {
						wrong.Password = before.Password
					}
					return tx.Tx.SaveAccount(wrong)
				}
			}
		}},
		{"Tx.SaveAccount/WithoutAUserIsNotFound", "takes accounts of nobody", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveAccount = func(account *latchward.Account) error {
					if err := tx.Tx.SaveAccount(account); !is(err, latchward.CodeNotFound) {
						return err
					}
					return nil
				}
			}
		}},
		{"Tx.SaveAccount/RefusesATakenIdentity", "lets accounts share an identity", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveAccount = func(account *latchward.Account) error {
					if err := tx.Tx.SaveAccount(account); !is(err, latchward.CodeConflict) {
						return err
					}
					return nil
				}
			}
		}},
		{"Tx.SaveAccount/IsUndone", "keeps accounts of transactions that failed", func(a *altered) {
			a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
				var failed error
				commit, err := a.Store.Tx(background(), func(tx latchward.Tx) error {
					failed = f(tx)
					return nil
				})
				if err == nil {
					err = failed
				}
				return commit, err
			}
		}},
	}
}

// savesWrongSession alters every session on the way into the store.
func savesWrongSession(edit func(s *latchward.Session)) func(a *altered) {
	return func(a *altered) {
		a.inTx = func(tx *alteredTx) {
			tx.saveSession = func(s *latchward.Session) error {
				wrong := *s
				edit(&wrong)
				return tx.Tx.SaveSession(&wrong)
			}
		}
	}
}

func sessionMutants() []mutant {
	const keeps = "Session/KeepsEveryField Session/ReturnsACopy Sessions/ReturnsTheUsersNewestFirst Tx.Session/ReturnsACopy"
	return []mutant{
		{keeps, "forgets addresses", savesWrongSession(func(s *latchward.Session) { s.Address = latchward.Session{}.Address })},
		{keeps, "forgets browsers", savesWrongSession(func(s *latchward.Session) { s.UserAgent = "" })},
		{keeps, "forgets what is pending", savesWrongSession(func(s *latchward.Session) { s.Pending = false })},
		{"Session/KeepsEveryField Tx.SaveSession/ReplacesEveryField", "mixes up times",
			savesWrongSession(func(s *latchward.Session) { s.AuthenticatedAt = s.EndsAt })},
		{"Session/ReturnsEndedOnes", "hides ended sessions", func(a *altered) {
			a.session = func(id latchward.SessionID) (*latchward.Session, error) {
				s, err := a.Store.Session(background(), id)
				if err == nil && s.EndsAt.Before(epoch()) {
					return nil, latchward.Errorf(latchward.CodeNotFound, "ended")
				}
				return s, err
			}
		}},
		{"Session/ReturnsACopy", "hands out what it keeps", func(a *altered) { a.session = remember(a.Store.Session) }},
		{"Session/UnknownIsNotFound", "finds nothing and calls it success",
			func(a *altered) { a.session = found(a.Store.Session) }},
		{"Sessions/ReturnsTheUsersNewestFirst", "lists the oldest session first", func(a *altered) {
			a.sessions = func(id latchward.UserID) ([]*latchward.Session, error) {
				list, err := a.Store.Sessions(background(), id)
				slices.Reverse(list)
				return list, err
			}
		}},
		{"PruneSessions/DeletesWhatWasLastSeenBefore", "deletes what was seen at the instant, too", func(a *altered) {
			a.pruneSessions = func(before time.Time, limit int) (int, error) {
				return a.Store.PruneSessions(background(), before.Add(time.Millisecond), limit)
			}
		}},
		{"PruneSessions/DeletesAtMostLimit", "deletes without limit", func(a *altered) {
			a.pruneSessions = func(before time.Time, _ int) (int, error) {
				return a.Store.PruneSessions(background(), before, latchward.MaxPage)
			}
		}},
		{"Tx.Session/ReturnsACopy", "hands out what it keeps in transactions", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.session = remember(func(_ context.Context, id latchward.SessionID) (*latchward.Session, error) {
					return tx.Tx.Session(id)
				})
			}
		}},
		{"Tx.Session/UnknownIsNotFound", "finds nothing in transactions and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.session = found(func(_ context.Context, id latchward.SessionID) (*latchward.Session, error) {
					return tx.Tx.Session(id)
				})
			}
		}},
		{"Tx.SaveSession/ReplacesEveryField", "keeps the first session of an id", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveSession = func(s *latchward.Session) error {
					if _, err := tx.Tx.Session(s.ID); err == nil {
						return nil
					}
					return tx.Tx.SaveSession(s)
				}
			}
		}},
		{"Tx.SaveSession/WithoutAUserIsNotFound", "takes sessions of nobody", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveSession = func(s *latchward.Session) error {
					if err := tx.Tx.SaveSession(s); !is(err, latchward.CodeNotFound) {
						return err
					}
					return nil
				}
			}
		}},
		{"Tx.DeleteSession/MakesItDisappear", "deletes nothing", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.deleteSession = func(latchward.SessionID) error { return nil } }
		}},
		{"Tx.DeleteSession/UnknownIsNotFound", "deletes what is not there", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.deleteSession = func(id latchward.SessionID) error {
					if err := tx.Tx.DeleteSession(id); !is(err, latchward.CodeNotFound) {
						return err
					}
					return nil
				}
			}
		}},
		{"Tx.DeleteSessions/LeavesOneAndOthersAlone", "deletes the session to be left", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.deleteSessions = func(id latchward.UserID, _ latchward.SessionID) (int, error) {
					return tx.Tx.DeleteSessions(id, latchward.SessionID{})
				}
			}
		}},
	}
}
