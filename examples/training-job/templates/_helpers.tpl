{{/* The labels of every pod. The last one requests storage. */}}
{{- define "training.podLabels" -}}
app.kubernetes.io/name: training
app.kubernetes.io/instance: {{ .Release.Name }}
pipeline-storage: enabled
{{- end }}
