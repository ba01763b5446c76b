package admission

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// review is what is read of an AdmissionReview of admission.k8s.io/v1 or v1beta1, which have the same fields. Unknown fields
// are passed over, and names count with their case.
type review[O any] struct {
	Kind       string      `json:"kind"`
	APIVersion string      `json:"apiVersion"`
	Request    *request[O] `json:"request"`
}

type request[O any] struct {
	UID         string `json:"uid"`
	Kind        kind   `json:"kind"`
	SubResource string `json:"subResource"`
	Namespace   string `json:"namespace"`
	Operation   string `json:"operation"`
	Object      O      `json:"object"`
}

type kind struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
}

// pod is what is read of a core/v1 Pod. E and A are how much of its containers' variables and of its scheduling: most profiles
// need none of them, and they are the largest part of what would have to be copied.
type pod[E environment, A scheduling] struct {
	Metadata struct {
		Name         string            `json:"name"`
		GenerateName string            `json:"generateName"`
		Labels       map[string]string `json:"labels"`
		Annotations  map[string]string `json:"annotations"`
		// ManagedFields are not read, but named: they are half of a review, see unread.
		ManagedFields unread `json:"managedFields"`
	} `json:"metadata"`
	Spec struct {
		OS struct {
			Name string `json:"name"`
		} `json:"os"`
		NodeSelector    map[string]string `json:"nodeSelector"`
		Volumes         []volume          `json:"volumes"`
		InitContainers  []container[E, A] `json:"initContainers"`
		Containers      []container[E, A] `json:"containers"`
		SecurityContext securityContext   `json:"securityContext"`
		NodeName        string            `json:"nodeName"`
		HostNetwork     bool              `json:"hostNetwork"`
		Affinity        A                 `json:"affinity"`
		Spread          A                 `json:"topologySpreadConstraints"`
	} `json:"spec"`
}

type volume struct {
	Name  string `json:"name"`
	Claim struct {
		Name string `json:"claimName"`
	} `json:"persistentVolumeClaim"`
}

type container[E environment, A scheduling] struct {
	Name    string   `json:"name"`
	Mounts  []mount  `json:"volumeMounts"`
	Devices []device `json:"volumeDevices"`
	Env     E        `json:"env"`
	Ports   A        `json:"ports"`
}

// environment is a container's list of variables, or nothing of it.
type environment interface {
	variables | unread
	view() []inject.Env
}

type variables []env

func (v variables) view() []inject.Env {
	return convert(v, func(e env) inject.Env {
		return inject.Env{Name: e.Name, Value: e.Value, FromSource: e.Source.isSet, FieldPath: e.Source.fieldPath}
	})
}

// scheduling is a value that matters for the node of a pod, or nothing of it.
type scheduling interface {
	asWritten | unread
	value() any
}

// asWritten is a value that is decoded when it is asked for.
type asWritten struct{ text jsontext.Value }

// UnmarshalJSONFrom keeps the text: the decoder uses its memory again.
func (w *asWritten) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	text, err := decoder.ReadValue()
	w.text = text.Clone()
	return err
}

func (w asWritten) value() any {
	var value any
	if err := json.Unmarshal(w.text, &value, decodeOptions); err != nil {
		return nil // an absent one: what is there has been read before
	}
	return value
}

// unread is a large value that is passed over. Reading it as one text takes a third of the time that the decoder takes to pass
// over a field that it does not know, token by token.
type unread struct{}

// UnmarshalJSONFrom passes the value over.
func (*unread) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	_, err := decoder.ReadValue()
	return err
}

func (unread) view() []inject.Env { return nil }
func (unread) value() any         { return nil }

type mount struct {
	Volume string `json:"name"`
	Path   string `json:"mountPath"`
}

type device struct {
	Path string `json:"devicePath"`
}

type env struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source source `json:"valueFrom"`
}

// source is what is read of a core/v1 EnvVarSource.
type source struct {
	isSet     bool
	fieldPath string
}

// UnmarshalJSONFrom reads the field of the pod, if that is the source.
func (s *source) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	s.isSet = decoder.PeekKind() != 'n'
	var read struct {
		Field struct {
			Path string `json:"fieldPath"`
		} `json:"fieldRef"`
	}
	err := json.UnmarshalDecode(decoder, &read)
	s.fieldPath = read.Field.Path
	return err
}

// present is whether a field is there and not null.
type present bool

// UnmarshalJSONFrom looks at the value and passes it over.
func (p *present) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	*p = decoder.PeekKind() != 'n'
	return decoder.SkipValue()
}

// securityContext is what is read of a core/v1 PodSecurityContext.
type securityContext struct {
	// isSet is false when it is absent, null or empty: then it can be added as a whole.
	isSet                         bool
	hasFSGroup, hasFSGroupChanges bool
}

// UnmarshalJSONFrom looks which fields there are.
func (s *securityContext) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() != '{' {
		return decoder.SkipValue()
	}
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	for decoder.PeekKind() == '"' {
		name, err := decoder.ReadToken()
		if err != nil {
			return err
		}
		key, isNull := name.String(), decoder.PeekKind() == 'n'
		if err := decoder.SkipValue(); err != nil {
			return err
		}
		s.isSet = true
		s.hasFSGroup = s.hasFSGroup || (key == "fsGroup" && !isNull)
		s.hasFSGroupChanges = s.hasFSGroupChanges || (key == "fsGroupChangePolicy" && !isNull)
	}
	_, err := decoder.ReadToken()
	return err
}

// Versions of the review that can be answered. Source: Kubernetes, admission/v1 and admission/v1beta1.
const (
	reviewKind    = "AdmissionReview"
	versionV1     = "admission.k8s.io/v1"
	versionV1Beta = "admission.k8s.io/v1beta1"
)

// decodeOptions do not look for repeated names, which costs a third of the decoding: an API server writes its own objects,
// which have none, and applies the patch to them. A repeated name counts as it does for encoding/json: the last one.
var decodeOptions = jsontext.AllowDuplicateNames(true)

// decode reads a review whose object is a pod. Where that fails it reads the review alone, so that the error can be
// answered under its uid, and an object that is no pod passes.
func decode[E environment, A scheduling](body []byte) (*review[pod[E, A]], error) {
	var place struct { // one piece of memory for both
		review  review[pod[E, A]]
		request request[pod[E, A]]
	}
	r := &place.review
	r.Request = &place.request
	err := json.Unmarshal(body, r, decodeOptions)
	if err != nil {
		var head review[present]
		if json.Unmarshal(body, &head, decodeOptions) == nil && head.Request != nil {
			r = &review[pod[E, A]]{Kind: head.Kind, APIVersion: head.APIVersion, Request: &request[pod[E, A]]{
				UID: head.Request.UID, Kind: head.Request.Kind, SubResource: head.Request.SubResource, Operation: head.Request.Operation,
			}}
			if !r.Request.createsPod() {
				err = nil
			}
		}
	}
	switch {
	case err != nil:
		return r, fmt.Errorf("the review cannot be read: %w", withoutText(err))
	case r.Kind != reviewKind || (r.APIVersion != versionV1 && r.APIVersion != versionV1Beta):
		return r, fmt.Errorf("the body is a %q of %q, not an %s of %s or %s", r.Kind, r.APIVersion, reviewKind, versionV1, versionV1Beta)
	case r.Request == nil || (r.Request.UID == "" && r.Request.Operation == ""):
		return r, errors.New("the review has no request")
	}
	return r, nil
}

// withoutText keeps where and what of a decoder's error. Its own words could repeat a value of the pod, and answers are
// logged by others.
func withoutText(err error) error {
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Errorf("%s: a JSON %s is not what belongs there", wrong.JSONPointer, wrong.JSONKind)
	}
	if wrong, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("invalid JSON at byte %d, within %q", wrong.ByteOffset, wrong.JSONPointer)
	}
	return errors.New("invalid JSON")
}

// createsPod reports whether a pod itself is created: neither another kind, nor a subresource such as binding or eviction,
// nor a change.
func (r *request[O]) createsPod() bool {
	return r.Operation == "CREATE" && r.SubResource == "" && r.Kind.Group == "" && r.Kind.Kind == "Pod"
}

// name is how people know the pod before it has its name.
func (p *pod[E, A]) name() string {
	if p.Metadata.Name == "" && p.Metadata.GenerateName != "" {
		return p.Metadata.GenerateName + "*"
	}
	return p.Metadata.Name
}

// view is the pod as pkg/inject looks at it.
func (p *pod[E, A]) view() inject.Pod {
	v := inject.Pod{
		Labels: p.Metadata.Labels, Annotations: p.Metadata.Annotations, Replicas: 1,
		// Source: Kubernetes, core/v1 PodOS and the label kubernetes.io/os.
		Windows:             p.Spec.OS.Name == "windows" || p.Spec.NodeSelector["kubernetes.io/os"] == "windows",
		VolumesPath:         "/spec/volumes",
		Volumes:             make([]inject.PodVolume, len(p.Spec.Volumes)),
		SecurityContextPath: "/spec/securityContext",
		Placement:           p.placement(),
		Containers:          make([]inject.Container, 0, len(p.Spec.InitContainers)+len(p.Spec.Containers)),
	}
	for i := range p.Spec.Volumes {
		v.Volumes[i] = inject.PodVolume{Name: p.Spec.Volumes[i].Name, Claim: p.Spec.Volumes[i].Claim.Name}
	}
	if s := p.Spec.SecurityContext; s.isSet {
		v.SecurityContext = &inject.SecurityContext{HasFSGroup: s.hasFSGroup, HasFSGroupChangePolicy: s.hasFSGroupChanges}
	}
	v.Containers = appendContainers(v.Containers, "/spec/initContainers/", p.Spec.InitContainers)
	v.Containers = appendContainers(v.Containers, "/spec/containers/", p.Spec.Containers)
	return v
}

// placement is what matters for the node of the pod.
func (p *pod[E, A]) placement() inject.Placement {
	affinity, _ := p.Spec.Affinity.value().(map[string]any)
	placement := inject.Placement{
		LabelsPath: "/metadata/labels", HasLabels: len(p.Metadata.Labels) > 0,
		AffinityPath: "/spec/affinity", Affinity: affinity, NodeName: p.Spec.NodeName,
		Spread: p.Spec.Spread.value(), HostNetwork: p.Spec.HostNetwork,
	}
	for _, containers := range [][]container[E, A]{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range containers {
			if ports := containers[i].Ports.value(); ports != nil {
				placement.Ports = append(placement.Ports, ports)
			}
		}
	}
	return placement
}

func appendContainers[E environment, A scheduling](views []inject.Container, path string, containers []container[E, A]) []inject.Container {
	for i := range containers {
		c := &containers[i]
		view := inject.Container{Path: path + strconv.Itoa(i), Name: c.Name, Env: c.Env.view()}
		view.Mounts = convert(c.Mounts, func(m mount) inject.Mounted { return inject.Mounted{Volume: m.Volume, Path: m.Path} })
		view.Devices = convert(c.Devices, func(d device) string { return d.Path })
		views = append(views, view)
	}
	return views
}

func convert[A, B any](from []A, one func(A) B) []B {
	if len(from) == 0 {
		return nil
	}
	to := make([]B, len(from))
	for i := range from {
		to[i] = one(from[i])
	}
	return to
}
