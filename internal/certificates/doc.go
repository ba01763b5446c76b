// Package certificates keeps a webhook's serving certificate in sync with the caBundle by which API
// servers trust it. Neither a start nor a rotation fails a request.
//
//	c, err := certificates.New(api, certificates.Options{
//		Self:                 true,
//		Secret:               types.NamespacedName{Namespace: "storage", Name: "pipeline-storage-webhook-ca"},
//		DNSNames:             certificates.ServiceNames("pipeline-storage", "storage"),
//		WebhookConfiguration: "pipeline-storage",
//	})
//	server.TLSConfig.GetCertificate = c.GetCertificate
//	err = c.Load(ctx)        // optional: serve before the manager's caches have synced
//	err = manager.Add(c)     // every replica runs it; there is no leader
//	err = c.Ready()          // behind /readyz
//
// All work is done in rounds. A round runs at the start, when one of the two objects changes, when
// a rotation is due, and each Poll:
//
//	read the live configuration ─ read the Secret or the files ─ plan
//	  ─ write the caBundle if it differs ─ choose what to serve
//
// This order makes replicas safe without a leader. The Secret is written with the resourceVersion
// that was read, so of several replicas one wins and the others read again. The caBundle is written
// with the resourceVersion of a configuration that was read before the Secret was. So a replica
// that slept in between cannot remove a CA that another one has added since.
//
// # Self
//
// The Secret holds the CA that signs and, during a rotation, the next one. Each replica signs its
// own certificate in memory, with the names that it was started with. A rotation is
//
//	begin     the Secret gets a next CA, and the caBundle gets it in addition to the current one
//	promote   when the live configuration has carried it for Propagation, it becomes the current
//	          one, and every replica serves a certificate by it
//	forget    other certificates of the caBundle are removed Overlap later, or when they have
//	          expired
//
// A rotation begins when two thirds of the CA's life are over, or when an operator sets the
// annotation [AnnotationRotate] of the Secret to a new value, or deletes the Secret.
//
// # Files
//
// The certificate is read from a directory, by polling, because a kubelet brings a changed Secret
// with up to a minute's delay anyway. With InjectCA the caBundle follows ca.crt, with the same
// overlap; without it another program (cert-manager) writes the caBundle. In both cases a new
// certificate is served when the live configuration has trusted it for Propagation. It is served at
// once when the old one is of no use any more.
package certificates
