{{/* Whether the chart creates a CA: "true" or nothing. */}}
{{- define "pipeline-storage.ownCA" -}}
{{- if and (eq .Values.certificates.mode "certManager") (not .Values.certificates.certManager.issuerRef) -}}true{{- end -}}
{{- end -}}
