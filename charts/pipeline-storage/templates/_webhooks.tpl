{{/*
The webhooks, once for the MutatingWebhookConfiguration and once for the file with which every replica compares it. Between
the two only the caBundle may differ.
*/}}
{{- define "pipeline-storage.webhooks" -}}
webhooks:
  # The API server names this webhook when no replica answers: docs/operations.md has the runbook.
  - name: storage.pipeline-storage.io
    clientConfig:
      # The caBundle is not here: the program or cert-manager writes it, and Helm must not fight over it.
      service:
        name: {{ include "pipeline-storage.fullname" . }}
        namespace: {{ .Release.Namespace }}
        path: /inject
        port: 443
    rules:
      - apiGroups: [""]
        apiVersions: [v1]
        operations: [CREATE]
        resources: [pods]
        scope: Namespaced
    failurePolicy: {{ .Values.webhook.failurePolicy }}
    matchPolicy: Equivalent
    objectSelector:
      matchLabels:
        pipeline-storage: enabled
    namespaceSelector:
      {{- with .Values.namespaceSelector.matchLabels }}
      matchLabels:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      matchExpressions:
        - key: kubernetes.io/metadata.name
          operator: NotIn
          values:
            {{- append (.Values.excludedNamespaces | default list) .Release.Namespace | uniq | toYaml | nindent 12 }}
        {{- with .Values.namespaceSelector.matchExpressions }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    matchConditions:
      # The API server never changes the mirror of a static pod.
      - name: no-mirror-pod
        expression: "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)"
      {{- with .Values.webhook.matchConditions }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    # A sidecar that another webhook adds after the first round gets its mount in the second.
    reinvocationPolicy: IfNeeded
    sideEffects: None
    timeoutSeconds: {{ .Values.webhook.timeoutSeconds }}
    admissionReviewVersions: [v1]
{{- end -}}
