{{/* Whether the chart makes an authority of its own: "true" or nothing. */}}
{{- define "pipeline-storage.ownAuthority" -}}
{{- if and (eq .Values.certificates.mode "certManager") (not .Values.certificates.certManager.issuerRef) -}}true{{- end -}}
{{- end -}}
