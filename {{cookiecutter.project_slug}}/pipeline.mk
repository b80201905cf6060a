# What the stage `pipeline` adds to the Makefile.
.PHONY: steps reproduce

steps: setup  ## write dvc.yaml as conf/steps.yaml declares
	@$(PYTHON) -m $(PACKAGE).steps dvc

reproduce: steps  ## run the steps whose code, data or parameters have changed; ARGS="train"
	@PATH="$(CURDIR)/.venv/bin:$$PATH" dvc repro $(ARGS)
