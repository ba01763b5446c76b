{{/*
Whether the installation has the webhook, the policies, and any workload: true or nothing. The mode both has webhook and policies.
*/}}
{{- define "pipeline-storage.hasWebhook" -}}
{{- if ne .Values.mode "policy" }}true{{ end -}}
{{- end -}}
{{- define "pipeline-storage.hasPolicies" -}}
{{- if ne .Values.mode "webhook" }}true{{ end -}}
{{- end -}}
{{- define "pipeline-storage.hasWorkload" -}}
{{- if or .Values.claims (ne .Values.mode "policy") }}true{{ end -}}
{{- end -}}

{{/*
The selector of the namespaces whose pods are served, for webhook and policies: dict root, and for what selects pods without the
opt-in label by (what the program calls it), on (whether it selects anything) and namespaces (a label selector).
*/}}
{{- define "pipeline-storage.servedNamespaces" -}}
{{- $values := .root.Values -}}
{{- $served := $values.namespaceSelector | default dict -}}
{{- $excluded := append ($values.excludedNamespaces | default list) .root.Release.Namespace -}}
{{- $namespaces := .namespaces | default dict -}}
{{- with $served.matchLabels -}}
matchLabels:
  {{- toYaml . | nindent 2 }}
{{ end -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values:
      {{- if .by }}{{ $excluded = append $excluded "kube-system" }}{{ end }}
      {{- uniq $excluded | toYaml | nindent 6 }}
  {{- if and .by (not .on) }}
  # Off: every namespace has this label.
  - key: kubernetes.io/metadata.name
    operator: DoesNotExist
  {{- end }}
  {{- with $served.matchExpressions }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- range $key, $value := $namespaces.matchLabels }}
  - key: {{ $key | quote }}
    operator: In
    values: [{{ $value | quote }}]
  {{- end }}
  {{- with $namespaces.matchExpressions }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/*
A selector of pods, narrowed by objectSelector, for webhook and policies: list ROOT SELECTOR. Labels become expressions, because both
may have the same key.
*/}}
{{- define "pipeline-storage.servedPods" -}}
{{- $pods := deepCopy (index . 1 | default dict) -}}
{{- $narrow := (index . 0).Values.objectSelector | default dict -}}
{{- $expressions := $pods.matchExpressions | default list -}}
{{- range $key, $value := $narrow.matchLabels -}}
  {{- $expressions = append $expressions (dict "key" $key "operator" "In" "values" (list $value)) -}}
{{- end -}}
{{- with concat $expressions ($narrow.matchExpressions | default list) -}}
  {{- $_ := set $pods "matchExpressions" . -}}
{{- end -}}
{{- toYaml $pods -}}
{{- end -}}

{{/* A condition of webhook and policies. */}}
{{- define "pipeline-storage.noMirrorPod" -}}
# The API server never changes the mirror of a static pod.
- name: no-mirror-pod
  expression: "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)"
{{- end -}}
