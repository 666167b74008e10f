package latchtest

import (
	"slices"
	"time"

	"github.com/latchward/latchward"
)

// namesWrong alters what transactions say they have changed.
func namesWrong(edit func(changes []latchward.Change) []latchward.Change) func(a *altered) {
	return func(a *altered) {
		a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
			commit, err := a.right(f)
			commit.Changes = edit(commit.Changes)
			return commit, err
		}
	}
}

// namesNone makes transactions name nothing of a kind.
func namesNone(kind latchward.ChangeKind) func(a *altered) {
	return namesWrong(func(changes []latchward.Change) []latchward.Change {
		return without(changes, kind, func(string) bool { return true })
	})
}

// forgets makes a transaction not name the key ids that a function picks when a token is saved, given what the token
// was before (or nil), and what it was saved as.
func forgets(pick func(before, after *latchward.Token) []latchward.KeyID) func(a *altered) {
	return func(a *altered) {
		a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
			var forgotten []string
			a.inTx = func(tx *alteredTx) {
				tx.saveToken = func(t *latchward.Token) error {
					before, _ := tx.Tx.Token(t.ID)
					for _, id := range pick(before, t) {
						forgotten = append(forgotten, id.String())
					}
					return tx.Tx.SaveToken(t)
				}
			}
			commit, err := a.right(f)
			commit.Changes = without(commit.Changes, latchward.ChangeToken, func(key string) bool {
				return slices.Contains(forgotten, key)
			})
			return commit, err
		}
	}
}

// namesOnlyCurrent names no key ids but those of current secrets.
func namesOnlyCurrent(a *altered) {
	retired := map[string]bool{}
	namesWrong(func(changes []latchward.Change) []latchward.Change {
		return without(changes, latchward.ChangeToken, func(key string) bool { return retired[key] })
	})(a)
	a.inTx = func(tx *alteredTx) {
		tx.retireSecret = func(id latchward.TokenID, s latchward.RetiringSecret) error {
			retired[s.KeyID.String()] = true
			return tx.Tx.RetireSecret(id, s)
		}
	}
}

func saveMutants() []mutant {
	return []mutant{
		{"Tx.Token/ReturnsACopy", "hands out what it keeps", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.token = remember(asContext(tx.Tx.Token)) }
		}},
		{"Tx.Token/UnknownIsNotFound Tx/SeesItsOwnTokens Tx.DeleteToken/MakesItDisappear",
			"finds nothing in a transaction and calls it success", func(a *altered) {
				a.inTx = func(tx *alteredTx) { tx.token = found(asContext(tx.Tx.Token)) }
			}},
		{"Tx.SaveToken/SetsIDs", "sets no ids", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveToken = func(t *latchward.Token) error { saved := *t; return tx.Tx.SaveToken(&saved) }
			}
		}},
		{"Tx.SaveToken/SetsIDs", "sets one id for all", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveToken = func(t *latchward.Token) error { err := tx.Tx.SaveToken(t); t.ID = 1; return err }
			}
		}},
		{"Tx.SaveToken/ReplacesEveryField", "only inserts", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveToken = func(t *latchward.Token) error {
					if t.ID != 0 {
						return nil
					}
					return tx.Tx.SaveToken(t)
				}
			}
		}},
		{"Tx.SaveToken/LeavesLastUsedAtAlone", "replaces LastUsedAt", savesLastUsed},
		{"Tx.SaveToken/UnknownIsNotFound", "saves nothing and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveToken = func(t *latchward.Token) error { return unless(tx.Tx.SaveToken(t), latchward.CodeNotFound) }
			}
		}},
		{"Tx.SaveToken/NeverReusesIDs", "starts again at the lowest free id", reusesIDs},
		{"Tx.SaveToken/RefusesAKeyIDInUse Tx.SaveToken/RefusesARotatedOutKeyID", "saves nothing and calls it success",
			func(a *altered) {
				a.inTx = func(tx *alteredTx) {
					tx.saveToken = func(t *latchward.Token) error { return unless(tx.Tx.SaveToken(t), latchward.CodeConflict) }
				}
			}},
		{"Tx.SaveToken/NamesNewTokens", "does not name new tokens",
			forgets(func(before, after *latchward.Token) []latchward.KeyID {
				if before == nil {
					return []latchward.KeyID{after.Secret.KeyID}
				}
				return nil
			})},
		{"Tx.SaveToken/NamesKeyIDsBeforeAndAfter", "does not name the key id before", forgets(
			func(before, after *latchward.Token) []latchward.KeyID {
				if before != nil && before.Secret != after.Secret {
					return []latchward.KeyID{before.Secret.KeyID}
				}
				return nil
			})},
		{"Tx.SaveToken/NamesKeyIDsBeforeAndAfter Tx/NamesTokensWhenFFails", "does not name the key id after", forgets(
			func(_, after *latchward.Token) []latchward.KeyID { return []latchward.KeyID{after.Secret.KeyID} })},
		{"Tx.SaveToken/NamesRotatedOutKeyIDs Tx.RetireSecret/NamesTheKeyID Tx.DeleteToken/NamesEveryKeyID",
			"does not name rotated-out key ids", namesOnlyCurrent},
		{"Tx.SaveToken/ForgetsAReplacedKeyID", "finds replaced secrets", func(a *altered) {
			a.tokenFacts = found(a.Store.TokenFacts)
		}},
	}
}

func unless(err error, code latchward.Code) error {
	if is(err, code) {
		return nil
	}
	return err
}

// savesLastUsed takes LastUsedAt from what was saved last.
func savesLastUsed(a *altered) {
	saved := map[latchward.TokenID]time.Time{}
	a.inTx = func(tx *alteredTx) {
		tx.saveToken = func(t *latchward.Token) error {
			err := tx.Tx.SaveToken(t)
			saved[t.ID] = t.LastUsedAt
			return err
		}
	}
	a.token = func(id latchward.TokenID) (*latchward.Token, error) {
		t, err := a.Store.Token(background(), id)
		if err == nil {
			t.LastUsedAt = saved[id]
		}
		return t, err
	}
}

// reusesIDs gives every token the id 1, as a store without a memory for ids would once the token before was deleted.
func reusesIDs(a *altered) {
	var real latchward.TokenID
	a.inTx = func(tx *alteredTx) {
		tx.saveToken = func(t *latchward.Token) error {
			err := tx.Tx.SaveToken(t)
			real, t.ID = t.ID, 1
			return err
		}
		tx.deleteToken = func(latchward.TokenID) error { return tx.Tx.DeleteToken(real) }
	}
}

func endMutants() []mutant {
	return []mutant{
		{"Tx.RetireSecret/BeforeTheNewOneIsSaved", "refuses the current secret", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.retireSecret = func(id latchward.TokenID, s latchward.RetiringSecret) error {
					if t, err := tx.Tx.Token(id); err == nil && t.Secret.KeyID == s.KeyID {
						return latchward.Errorf(latchward.CodeConflict, "wrong")
					}
					return tx.Tx.RetireSecret(id, s)
				}
			}
		}},
		{"Tx.RetireSecret/AfterTheNewOneIsSaved Tx.RetireSecret/NamesTheKeyID", "retires nothing but the current secret",
			func(a *altered) {
				a.inTx = func(tx *alteredTx) {
					tx.retireSecret = func(id latchward.TokenID, s latchward.RetiringSecret) error {
						if t, err := tx.Tx.Token(id); err == nil && t.Secret.KeyID != s.KeyID {
							return nil
						}
						return tx.Tx.RetireSecret(id, s)
					}
				}
			}},
		{"Tx.RetireSecret/UnknownIsNotFound", "retires nothing and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.retireSecret = func(id latchward.TokenID, s latchward.RetiringSecret) error {
					return unless(tx.Tx.RetireSecret(id, s), latchward.CodeNotFound)
				}
			}
		}},
		{"Tx.DeleteToken/MakesItDisappear Token/UnknownIsNotFound", "revokes instead of deleting", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.deleteToken = func(id latchward.TokenID) error {
					t, err := tx.Tx.Token(id)
					if err != nil {
						return err
					}
					t.RevokedAt = epoch()
					return tx.Tx.SaveToken(t)
				}
			}
		}},
		{"Tx.DeleteToken/MakesItDisappear", "keeps the secrets of deleted tokens", func(a *altered) {
			a.tokenFacts = found(a.Store.TokenFacts)
		}},
		{"Tx.DeleteToken/LeavesOthersAlone", "deletes all tokens of the owner", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.deleteToken = func(id latchward.TokenID) error {
					t, err := tx.Tx.Token(id)
					if err != nil {
						return err
					}
					tokens, _ := tx.Tx.TokensOf(t.Owner)
					for _, other := range tokens {
						if other.ID != id {
							_ = tx.Tx.DeleteToken(other.ID)
						}
					}
					return tx.Tx.DeleteToken(id)
				}
			}
		}},
		{"Tx.DeleteToken/NamesEveryKeyID Tx.SaveToken/NamesNewTokens Tx.RetireSecret/NamesTheKeyID", "names no tokens",
			namesNone(latchward.ChangeToken)},
		{"Tx.DeleteToken/UnknownIsNotFound", "deletes nothing and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.deleteToken = func(id latchward.TokenID) error {
					return unless(tx.Tx.DeleteToken(id), latchward.CodeNotFound)
				}
			}
		}},
		{"Tx.TokensOf/ReturnsTheOwnersTokensByID", "returns tokens backwards",
			ownedWrong(func(owned []*latchward.Token) []*latchward.Token {
				slices.Reverse(owned)
				return owned
			})},
		{"Tx.TokensOf/ReturnsTheOwnersTokensByID", "leaves inactive tokens out",
			ownedWrong(func(owned []*latchward.Token) []*latchward.Token {
				return slices.DeleteFunc(owned, func(t *latchward.Token) bool {
					return t.Status(epoch()) != latchward.StatusActive
				})
			})},
		{"Tx.TokensOf/LeavesRevokedOnesOut", "returns revoked tokens", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.tokensOf = func(latchward.Owner) ([]*latchward.Token, error) {
					var owned []*latchward.Token
					for id := range latchward.TokenID(10) {
						if t, err := tx.Tx.Token(id); err == nil {
							owned = append(owned, t)
						}
					}
					return owned, nil
				}
			}
		}},
		{"Tx.TokenByIssueKey/ReturnsACopy", "hands out what it keeps", func(a *altered) {
			var kept *latchward.Token
			a.inTx = func(tx *alteredTx) {
				tx.tokenByIssueKey = func(key string) (*latchward.Token, error) {
					if kept != nil {
						return kept, nil
					}
					t, err := tx.Tx.TokenByIssueKey(key)
					kept = t
					return t, err
				}
			}
		}},
		{"Tx.TokenByIssueKey/ReturnsACopy", "finds nothing", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.tokenByIssueKey = func(string) (*latchward.Token, error) { return tx.Tx.Token(-1) }
			}
		}},
		{"Tx.TokenByIssueKey/UnknownIsNotFound", "finds anything", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.tokenByIssueKey = func(string) (*latchward.Token, error) { return tx.Tx.Token(1) }
			}
		}},
		{"Tx.TokensOf/ReturnsCopies", "hands out what it keeps", func(a *altered) {
			var kept []*latchward.Token
			ownedWrong(func(owned []*latchward.Token) []*latchward.Token {
				if kept == nil {
					kept = owned
				}
				return kept
			})(a)
		}},
	}
}

// ownedWrong alters what TokensOf returns.
func ownedWrong(edit func(owned []*latchward.Token) []*latchward.Token) func(a *altered) {
	return func(a *altered) {
		a.inTx = func(tx *alteredTx) {
			tx.tokensOf = func(owner latchward.Owner) ([]*latchward.Token, error) {
				owned, err := tx.Tx.TokensOf(owner)
				return edit(owned), err
			}
		}
	}
}
