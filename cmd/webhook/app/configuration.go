package app

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Reasons and the action of the Events about the configuration.
const (
	reasonChanged   = "ConfigurationChanged"
	reasonRefused   = "ConfigurationRefused"
	actionConfigure = "Configure"
)

// configurationNote reports when the file is not the configuration in force. The replica stays
// ready: the configuration before still serves.
func (s *server) configurationNote() string {
	if reason := s.file.Refused(); reason != nil {
		return "the one before stays in force, because the file is refused: " + reason.Error()
	}
	return ""
}

// configured reports a new configuration and passes it on. It is called after the file is in force:
// a reader of [configfile.File.Current] gets the new configuration already.
func (s *server) configured(config *storage.Config, warnings []string) {
	s.log.Info("the configuration has changed")
	s.logWarnings(config, warnings)
	s.sendEvent(corev1.EventTypeNormal, reasonChanged, "The new configuration is in force.")
	s.changed.Notify()
}

// refused reports why a new file does not come into force. [server.configurationNote] repeats it on
// /readyz for as long as it lasts.
func (s *server) refused(reason error) {
	s.log.Error(reason, "the configuration is refused, the one before stays in force")
	s.sendEvent(corev1.EventTypeWarning, reasonRefused, "The one before stays in force: "+reason.Error())
}

// logWarnings logs the warnings about a configuration: those found when it was read, and those of
// its profiles.
func (s *server) logWarnings(config *storage.Config, warnings []string) {
	for i := range config.Profiles {
		warnings = append(warnings, config.Profiles[i].Warnings()...)
	}
	for _, warning := range warnings {
		s.log.Info("configuration: " + warning)
	}
}

// sendEvent sends an Event about the own pod, where the flags name it. The own namespace has a Role
// for it, see markers.go.
func (s *server) sendEvent(eventType, reason, note string) {
	if s.options.PodName == "" || s.options.Namespace == "" {
		return
	}
	pod := &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod",
		Namespace: s.options.Namespace, Name: s.options.PodName, UID: types.UID(s.options.PodUID),
	}
	s.events.Send(kube.Event{Type: eventType, About: pod, Reason: reason, Action: actionConfigure, Note: note})
}
