{{/* Whether the chart creates a CA: "true" or nothing. */}}
{{- define "pipeline-storage.ownCA" -}}
{{- if and (include "pipeline-storage.hasWebhook" .) (eq .Values.certificates.mode "certManager") (not .Values.certificates.certManager.issuerRef) -}}true{{- end -}}
{{- end -}}
