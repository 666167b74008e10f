package latchward

// ledger is a transaction that knows the policies, and whose audit entries are chained (B-16). All transactions of [Service] are ledgers, so no
// entry is left out of the chain.
type ledger struct {
	Tx
	service *Service
	keys    *KeyRing   // under whose current key entries are sealed
	head    *AuditHead // nil = not read yet

	policies    *policySet // as they were when the transaction began
	policiesErr error      // why they are not known
}

// AppendAudit implements [Tx].
func (l *ledger) AppendAudit(e *AuditEntry) error {
	if l.head == nil {
		head, err := l.Tx.AuditHead()
		if err != nil {
			return err
		}
		l.head = &head
	}
	if err := e.Chain(*l.head, l.service.random); err != nil {
		return err
	}
	e.seal(*l.head, l.keys)
	l.head = &AuditHead{ID: e.ID, Hash: e.Proof.Hash}
	return l.Tx.AppendAudit(e)
}
