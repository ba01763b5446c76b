{{/*
The webhooks, once for the MutatingWebhookConfiguration and once for the file with which every replica compares it. Between
the two only the caBundle may differ.
*/}}
{{- define "pipeline-storage.webhooks" -}}
webhooks:
  # The API server names the webhook when no replica answers: docs/operations.md has the runbook.
  {{- include "pipeline-storage.webhook" (dict "root" $ "path" "/inject"
    "pods" (dict "matchLabels" (dict "pipeline-storage" "enabled"))) | nindent 2 }}
  # The others are here where optIn does not use them, too, and select nothing then: a server-side apply, such as Helm 4's, cannot
  # remove a webhook whose caBundle another field manager owns.
  {{- $optIn := .Values.optIn | default dict }}
  {{- with $optIn.podSelector }}
  {{- include "pipeline-storage.requirePodSelector" . }}
  {{- end }}
  {{- include "pipeline-storage.webhook" (dict "root" $ "path" "/inject/pod-selector" "by" "pod-selector"
    "on" $optIn.podSelector "pods" $optIn.podSelector "namespaces" $optIn.namespaceSelector) | nindent 2 }}
  {{- include "pipeline-storage.webhook" (dict "root" $ "path" "/inject/namespace" "by" "namespace"
    "on" $optIn.namespaceLabel "namespaces" (dict "matchLabels" (dict "pipeline-storage.io/all-pods" "enabled"))) | nindent 2 }}
{{- end -}}

{{/*
One webhook: dict root, path, pods (a label selector), and for one that selects pods without the opt-in label by (what the program
calls it), on (whether it selects anything) and namespaces (a label selector).
*/}}
{{- define "pipeline-storage.webhook" -}}
{{- $values := .root.Values -}}
{{- $pods := include "pipeline-storage.servedPods" (list .root .pods) | fromYaml -}}
- name: {{ with .by }}{{ . }}.{{ end }}storage.pipeline-storage.io
  clientConfig:
    # The caBundle is not here: the program or cert-manager writes it, and Helm must not fight over it.
    service:
      name: {{ include "pipeline-storage.fullname" .root }}
      namespace: {{ .root.Release.Namespace }}
      path: {{ .path }}
      port: 443
  rules:
    - apiGroups: [""]
      apiVersions: [v1]
      operations: [CREATE]
      resources: [pods]
      scope: Namespaced
  {{- if eq $values.mode "both" }}
  # The policies refuse what the webhook could not mount.
  {{- end }}
  failurePolicy: {{ eq $values.mode "both" | ternary "Ignore" $values.webhook.failurePolicy }}
  matchPolicy: Equivalent
  objectSelector:
    {{- with $pods.matchLabels }}
    matchLabels:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if .by }}
    matchExpressions:
      # No webhook of any installation waits for itself.
      - key: app.kubernetes.io/name
        operator: NotIn
        values: [pipeline-storage]
      {{- with $pods.matchExpressions }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- else if $pods.matchExpressions }}
    matchExpressions:
      {{- toYaml $pods.matchExpressions | nindent 6 }}
    {{- end }}
  namespaceSelector:
    {{- include "pipeline-storage.servedNamespaces" . | nindent 4 }}
  matchConditions:
    {{- include "pipeline-storage.noMirrorPod" . | nindent 4 }}
    {{- with .by }}
    # A pod has one webhook: that of its label, where it has it, or else the first that selects it. That one adds the label, and
    # is called again for a sidecar of the first round because of its own annotation. Another value of the label opts out.
    - name: no-other-webhook
      expression: >-
        !has(object.metadata.labels) || !('pipeline-storage' in object.metadata.labels) ||
        (object.metadata.labels['pipeline-storage'] == 'enabled' && has(object.metadata.annotations) &&
        'pipeline-storage.io/selected-by' in object.metadata.annotations &&
        object.metadata.annotations['pipeline-storage.io/selected-by'] == {{ squote . }})
    {{- end }}
    {{- with $values.webhook.matchConditions }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  # A sidecar that another webhook adds after the first round gets its mount in the second.
  reinvocationPolicy: IfNeeded
  sideEffects: None
  timeoutSeconds: {{ $values.webhook.timeoutSeconds }}
  admissionReviewVersions: [v1]
{{- end -}}

{{/* A selector that only excludes would select almost every pod of the cluster. */}}
{{- define "pipeline-storage.requirePodSelector" -}}
{{- $required := len (.matchLabels | default dict) -}}
{{- range .matchExpressions -}}
  {{- if has .operator (list "In" "Exists") -}}
    {{- $required = add1 $required -}}
  {{- end -}}
{{- end -}}
{{- if not $required -}}
  {{- fail "optIn.podSelector selects pods by what they lack, and so almost every pod: add a label that they have (matchLabels, or matchExpressions with In or Exists)" -}}
{{- end -}}
{{- end -}}
