"""Every error the product raises on purpose.

TriageError                something a person can mend; the command line prints it as one line
|-- InputError             what was given is wrong (exit 2)
|   |-- DatasetError       dataset.toml does not describe a dataset
|   |-- SourceError        a source file cannot be read as the dataset says
|   |-- ContactTypeError   a contact type is not in the tree, or the tree is no tree
|   `-- TrainingDataError  the training set cannot train a model
|-- MachineError           the machine lacks something: Java, disk, memory, network (exit 3)
|-- WorkspaceError         the workspace is missing or in a state the step cannot start from (exit 4)
|   |-- LockedError        another run holds the lock (exit 75)
|   `-- MissingStepError   an earlier step has not run
|-- ReleaseError           a model directory or release is absent, corrupt or made by another version (exit 6)
`-- ContractError          rows break what a table promises; nothing was published (exit 7)
"""


class TriageError(Exception):
    """Base of all errors raised on purpose: `message` says what was found and expected, `hint` what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class InputError(TriageError):
    exit_code = 2


class DatasetError(InputError):
    pass


class SourceError(InputError):
    pass


class ContactTypeError(InputError):
    pass


class TrainingDataError(InputError):
    pass


class MachineError(TriageError):
    exit_code = 3


class WorkspaceError(TriageError):
    exit_code = 4


class LockedError(WorkspaceError):
    exit_code = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, try again later


class MissingStepError(WorkspaceError):
    pass


class ReleaseError(TriageError):
    exit_code = 6


class ContractError(TriageError):
    exit_code = 7
